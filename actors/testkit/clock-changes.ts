/**
 * When the clocks of some time zones changed, and what is odd about it: for tests that look for mistakes where
 * they are likely. Written by hand, so that a test owes nothing to the table that it tests. All of them are
 * past, and settled: no newer time zone data says otherwise.
 */
export interface ClockChange {
  readonly zone: string;
  readonly at: number;
}

const CHANGES: readonly (readonly [zone: string, at: string])[] = [
  // An hour, at night.
  ["Europe/Berlin", "2018-03-25T01:00:00Z"],
  ["Europe/Berlin", "2018-10-28T01:00:00Z"],
  ["America/New_York", "2007-11-04T06:00:00Z"],
  ["America/New_York", "2019-03-10T07:00:00Z"],
  // Half an hour; two hours; clocks that are never on the hour.
  ["Australia/Lord_Howe", "2016-04-02T15:00:00Z"],
  ["Australia/Lord_Howe", "2016-10-01T15:30:00Z"],
  ["Antarctica/Troll", "2014-03-30T01:00:00Z"],
  ["Pacific/Chatham", "2017-04-01T14:00:00Z"],
  ["Pacific/Chatham", "2017-09-23T14:00:00Z"],
  // Other offsets for good: to a quarter of an hour, with seconds, by half an hour at midnight.
  ["Asia/Kathmandu", "1985-12-31T18:30:00Z"],
  ["Africa/Monrovia", "1972-01-07T00:44:30Z"],
  ["Asia/Pyongyang", "2015-08-14T15:00:00Z"],
  ["Asia/Pyongyang", "2018-05-04T15:00:00Z"],
  ["America/Caracas", "2007-12-09T07:00:00Z"],
  // A day that was skipped, the last of a year too; one that came twice.
  ["Pacific/Apia", "2011-12-30T10:00:00Z"],
  ["Pacific/Enderbury", "1994-12-31T11:00:00Z"],
  ["Pacific/Kwajalein", "1993-08-21T12:00:00Z"],
  ["Pacific/Kwajalein", "1969-09-30T13:00:00Z"],
  // Midnight was skipped, that of the first day of a month and quarter too.
  ["America/Sao_Paulo", "2018-11-04T03:00:00Z"],
  ["Asia/Dhaka", "2009-06-19T17:00:00Z"],
  ["Asia/Damascus", "2006-03-31T22:00:00Z"],
  // From midnight, or a minute after it, back to the day before; at the end of a month, a quarter, a year too.
  ["America/Sao_Paulo", "2018-02-18T02:00:00Z"],
  ["America/St_Johns", "2006-10-29T02:31:00Z"],
  ["America/St_Johns", "2010-11-07T02:31:00Z"],
  ["America/Havana", "2012-11-04T05:00:00Z"],
  ["Africa/Juba", "2021-01-31T21:00:00Z"],
  ["Africa/Cairo", "2010-09-30T21:00:00Z"],
  ["Asia/Dhaka", "2009-12-31T17:00:00Z"],
  // Summer time of a week.
  ["America/Boa_Vista", "2000-10-08T04:00:00Z"],
  ["America/Boa_Vista", "2000-10-15T03:00:00Z"],
  // No change, but a new year.
  ["UTC", "2000-01-01T00:00:00Z"],
];

export const CLOCK_CHANGES: readonly ClockChange[] = CHANGES.map(([zone, at]) => ({
  zone,
  at: Date.parse(at),
}));

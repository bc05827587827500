/** Suggests the name that somebody probably meant: for every error about an unknown name. */

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/** Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
const distance = (from: string, to: string): number => {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      let best = Math.min(replace, previous[j]! + 1, current[j - 1]! + 1);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length]!;
};

/**
 * The candidate nearest to `name`, or undefined when none is near. Fewest edits win; a name that begins or
 * ends with what was written is meant only where no other is that near.
 */
export const nearest = (name: string, candidates: Iterable<string>): string | undefined => {
  const wanted = plain(name);
  let best: string | undefined;
  let bestEdits = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let longer: string | undefined;
  let longerEdits = Infinity;
  for (const candidate of candidates) {
    const other = plain(candidate);
    const partial = wanted.length >= 3 && (other.startsWith(wanted) || other.endsWith(wanted));
    const edits = distance(wanted, other);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    } else if (partial && edits < longerEdits) {
      longer = candidate;
      longerEdits = edits;
    }
  }
  return best ?? longer;
};

const LISTED_MAX = 20;

/** `"a", "b", "c"`, cut after twenty. */
export const listed = (names: Iterable<string>): string => {
  const all = [...names].map((name) => JSON.stringify(name));
  if (all.length <= LISTED_MAX) return all.join(", ");
  return `${all.slice(0, LISTED_MAX).join(", ")} and ${all.length - LISTED_MAX} more`;
};

/** `; did you mean "x"?`, or else the names that there are. */
export const suggestion = (name: string, candidates: Iterable<string>, what: string): string => {
  const names = [...candidates];
  const best = nearest(name, names);
  if (best !== undefined) return `; did you mean ${JSON.stringify(best)}?`;
  return names.length === 0 ? `; there are no ${what}` : `; the ${what} are ${listed(names)}`;
};

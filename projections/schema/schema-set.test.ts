import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { PayloadError, SchemaError } from "../errors.ts";
import { loadSchemas, parseSchema, SchemaSet } from "./schema-set.ts";

/** Loads files from memory. */
const load = (files: Readonly<Record<string, string>>, ...paths: readonly string[]): SchemaSet =>
  loadSchemas(paths.length === 0 ? Object.keys(files) : paths, (path) => files[path]);

const errorOf = (run: () => unknown): SchemaError | PayloadError => {
  try {
    run();
  } catch (error) {
    if (error instanceof SchemaError || error instanceof PayloadError) return error;
    throw error;
  }
  throw new Error("no error");
};

const messageOf = (run: () => unknown): string => errorOf(run).message;

const shop = parseSchema(`
  syntax = "proto3";
  package shop;
  import "google/protobuf/timestamp.proto";
  import "google/protobuf/struct.proto";
  message Sale {
    optional sint32 discount = 1;
    int64 cents = 2;
    repeated Item items = 3;
    map<string, Item> by_name = 4;
    Channel channel = 5;
    google.protobuf.Timestamp paid_at = 6;
    oneof customer { string email = 7; uint64 account = 8; }
    google.protobuf.Struct extra = 9;
    repeated int32 ratings = 10;
    bytes receipt = 11;
    int32 renamed = 12 [json_name = "other"];
    float ratio = 13;
    map<int32, Channel> channels = 14;
    message Item { string name = 1; double price = 2; Sale gift_of = 3; }
  }
  message Nothing {}
  enum Channel { UNKNOWN = 0; WEB = 1; APP = 2; }
`);

describe("event types", () => {
  it("tell numbers, wire types and presence", () => {
    expect(shop.typeNames).toEqual(["shop.Sale", "shop.Sale.Item", "shop.Nothing"]);
    const field = (number: number, name: string, scalar: string, more = {}) => ({
      number,
      name,
      scalar,
      repeated: false,
      optional: false,
      ...more,
    });
    const values = { UNKNOWN: 0, WEB: 1, APP: 2 };
    const message = expect.any(Function);
    expect(shop.eventType("shop.Sale")).toEqual({
      name: "shop.Sale",
      fields: [
        field(1, "discount", "sint32", { optional: true }),
        field(2, "cents", "int64"),
        field(3, "items", "message", { repeated: true, message }),
        field(4, "by_name", "message", { repeated: true, map: true, message }),
        field(5, "channel", "enum", { values }),
        field(6, "paid_at", "message", { optional: true, message }),
        field(7, "email", "string", { optional: true }),
        field(8, "account", "uint64", { optional: true }),
        field(9, "extra", "message", { optional: true, message }),
        field(10, "ratings", "int32", { repeated: true }),
        field(11, "receipt", "bytes"),
        field(12, "renamed", "int32"),
        field(13, "ratio", "float"),
        field(14, "channels", "message", { repeated: true, map: true, message }),
      ],
    });
    expect(shop.eventType("shop.Nothing")).toEqual({ name: "shop.Nothing", fields: [] });
    expect(shop.eventType("shop.Sael")).toBeUndefined();
    expect(shop.eventType("shop.Channel")).toBeUndefined();
  });

  it("know presence in proto2 and editions", () => {
    const optional = (proto: string) =>
      parseSchema(proto)
        .eventType("M")!
        .fields.map((each) => each.optional);
    expect(
      optional('syntax = "proto2"; message M { required int32 a = 1; optional int32 b = 2; }'),
    ).toEqual([true, true]);
    expect(
      optional(
        'edition = "2023"; message M { int32 a = 1; int32 b = 2 [features.field_presence = IMPLICIT]; }',
      ),
    ).toEqual([true, false]);
    expect(
      optional(
        'edition = "2023"; option features.field_presence = IMPLICIT; message M { int32 a = 1; }',
      ),
    ).toEqual([false]);
  });

  it("survive the trip through descriptors", () => {
    const again = new SchemaSet(fromBinary(FileDescriptorSetSchema, shop.descriptorSet));
    const shown = (set: SchemaSet, name: string) => JSON.stringify(set.eventType(name));
    for (const name of shop.typeNames) expect(shown(again, name)).toBe(shown(shop, name));
    expect(again.typeNames).toEqual(shop.typeNames);
  });
});

describe("JSON payloads", () => {
  const roundTrip = (json: unknown): unknown =>
    JSON.parse(shop.toJson("shop.Sale", shop.toBinary("shop.Sale", JSON.stringify(json))));

  it("follow ProtoJSON", () => {
    const sale = {
      discount: 0,
      cents: "9007199254740993",
      items: [{ name: "a", price: 1.5, giftOf: { email: "x" } }, {}],
      byName: { b: { price: "NaN" } },
      channel: "APP",
      paidAt: "2020-02-29T12:00:00.5Z",
      account: "18446744073709551615",
      extra: { any: [1, null, { deep: true }] },
      ratings: [1, -2],
      receipt: "AAEC",
      other: 3,
      channels: { "-1": "WEB" },
    };
    expect(roundTrip(sale)).toEqual({ ...sale, paidAt: "2020-02-29T12:00:00.500Z" });
    expect(roundTrip({ by_name: {}, cents: 5, channel: 1, ratings: null })).toEqual({
      cents: "5",
      channel: "WEB",
    });
    expect(shop.toBinary("shop.Nothing", " { } ")).toEqual(new Uint8Array());
    expect([...shop.toBinary("shop.Sale", '{"discount":-1,"cents":"0"}')]).toEqual([8, 1]);
  });

  it("that do not match say where and why", () => {
    const wrong = (json: string) => {
      const error = errorOf(() => shop.toBinary("shop.Sale", json)) as PayloadError;
      expect(error).toMatchObject({ _tag: "PayloadError", type: "shop.Sale" });
      return `${error.path}: ${error.reason}`;
    };
    expect(wrong('{"discont": 1}')).toBe(
      'discont: shop.Sale has no such field; did you mean "discount"?',
    );
    expect(wrong('{"discount": "x"}')).toBe(
      'discount: must be a whole number (sint32), or its digits as text, not "x"',
    );
    expect(wrong('{"discount": 1.5}')).toMatch(/^discount: must be a whole number .*, not 1\.5$/);
    expect(wrong('{"cents": "1e30"}')).toMatch(/^cents: must be a whole number \(int64\)/);
    expect(wrong('{"discount": 2147483648}')).toBe(
      "discount: must be from -2147483648 to 2147483647 (sint32), not 2147483648",
    );
    expect(wrong('{"cents": "9223372036854775808"}')).toMatch(
      /^cents: must be from -9223372036854775808 to /,
    );
    expect(wrong('{"items": [{}, {"price": "cheap"}]}')).toBe(
      'items[1].price: must be a number (double), not "cheap"',
    );
    expect(wrong('{"items": [{"giftOf": {"items": [{"nme": 1}]}}]}')).toBe(
      'items[0].giftOf.items[0].nme: shop.Sale.Item has no such field; did you mean "name"?',
    );
    expect(wrong('{"items": {}}')).toMatch(/^items: expected Array/);
    expect(wrong('{"byName": {"odd key": {"price": true}}}')).toBe(
      'byName["odd key"].price: must be a number (double), not true',
    );
    expect(wrong('{"ratings": [1, 2, null]}')).toMatch(/^ratings\[2\]: /);
    expect(wrong('{"channel": "WBE"}')).toBe(
      'channel: "WBE" is no value of the enum shop.Channel; did you mean "WEB"?',
    );
    expect(wrong('{"channels": {"x": "WEB"}}')).toMatch(/^channels\.x: /);
    expect(wrong('{"paidAt": "yesterday"}')).toMatch(/^paidAt: .*RFC 3339/);
    expect(wrong('{"email": "x", "account": 1}')).toMatch(/^: oneof set multiple times/);
    expect(wrong('{"cents": 1, "cents": 2}')).toBe(': duplicate object key "cents"');
    expect(wrong("[]")).toBe(": must be an object");
    expect(wrong('{"cents": 1')).toMatch(/^: is not JSON: /);
    expect(wrong("")).toMatch(/^: is not JSON: /);
    expect(wrong(`${'{"items":[{"giftOf":'.repeat(60)}{}${"}]}".repeat(60)}`)).toMatch(
      /recursion depth/,
    );
  });

  it("miss required fields of proto2", () => {
    const proto2 = parseSchema('syntax = "proto2"; message M { required int32 a = 1; }');
    expect(messageOf(() => proto2.toBinary("M", "{}"))).toMatch(/^M: .*required/);
    expect([...proto2.toBinary("M", '{"a":0}')]).toEqual([8, 0]);
  });

  it("come from no broken bytes and no unknown type", () => {
    expect(messageOf(() => shop.toJson("shop.Sale", new Uint8Array([8])))).toBe(
      "shop.Sale: is not valid Protobuf: premature EOF",
    );
    expect(messageOf(() => shop.toBinary("shop.Sael", "{}"))).toBe(
      'no schema declares a message "shop.Sael"; did you mean "shop.Sale"?',
    );
    expect(messageOf(() => shop.toJson("Order", new Uint8Array()))).toBe(
      'no schema declares a message "Order"; the messages are "shop.Sale", "shop.Sale.Item", ' +
        '"shop.Nothing"',
    );
  });
});

describe("imports", () => {
  const money = 'syntax = "proto3"; package money; message Amount { int64 cents = 1; }';
  const order = (path: string) =>
    `syntax = "proto3"; package shop.v1;\nimport "${path}";\nmessage Order { money.Amount total = 1; }`;

  it("are found beside the importing file, or from where its package's folders start", () => {
    for (const [target, place] of [
      ["money.proto", "/x/shop/v1/money.proto"],
      ["../money.proto", "/x/shop/money.proto"],
      ["money/money.proto", "/x/money/money.proto"],
    ] as const) {
      const files = { "/x/shop/v1/order.proto": order(target), [place]: money };
      const set = load(files, "/x/shop/v1/order.proto");
      expect(set.eventType("shop.v1.Order")?.fields).toHaveLength(1);
      expect(
        set.toJson("shop.v1.Order", set.toBinary("shop.v1.Order", '{"total":{"cents":7}}')),
      ).toBe('{"total":{"cents":"7"}}');
      const names = [...set.registry.files].map((file) => file.proto.name);
      expect(names).toEqual([
        target === "../money.proto" ? "money.proto" : names[0],
        "shop/v1/order.proto",
      ]);
    }
  });

  it("may be shared, and two files may have one name", () => {
    const set = load({
      "/a/types.proto":
        'syntax = "proto3"; package a; import "/m.proto"; message A { money.Amount x = 1; }',
      "/b/types.proto":
        'syntax = "proto3"; package b; import "/m.proto"; message B { money.Amount x = 1; }',
      "/m.proto": money,
    });
    expect(set.typeNames.toSorted()).toEqual(["a.A", "b.B", "money.Amount"]);
    expect(new Set([...set.registry.files].map((file) => file.name)).size).toBe(3);
  });

  it("that fail say what was looked for", () => {
    expect(messageOf(() => load({ "/x/order.proto": order("mony.proto") }))).toBe(
      '/x/order.proto:2: imports "mony.proto", which does not exist; looked for /x/mony.proto, ' +
        "/mony.proto, /mony.proto",
    );
    expect(
      messageOf(() => parseSchema('syntax = "proto3"; import "google/protobuf/timestmp.proto";')),
    ).toBe(
      '/schema.proto:1: imports "google/protobuf/timestmp.proto", which does not exist; did you mean ' +
        '"google/protobuf/timestamp.proto"?',
    );
    expect(
      messageOf(() =>
        load({
          "/a.proto": 'syntax = "proto3"; import "b.proto"; message A {}',
          "/b.proto": 'syntax = "proto3";\n\nimport "a.proto"; message B {}',
        }),
      ),
    ).toBe("/b.proto:3: imports go in a circle: a.proto -> b.proto -> a.proto");
    expect(
      messageOf(() =>
        load({
          "/a.proto": 'syntax = "proto3"; message A { B b = 1; }',
          "/b.proto": 'syntax = "proto3"; message B {}',
        }),
      ),
    ).toBe('/a.proto:1: field A.b is of type "B"; import "b.proto", which declares it');
  });

  it("of every google/protobuf file work", () => {
    for (const name of [
      "any",
      "api",
      "descriptor",
      "duration",
      "empty",
      "field_mask",
      "source_context",
      "type",
      "wrappers",
    ]) {
      const set = parseSchema(
        `syntax = "proto3"; import "google/protobuf/${name}.proto"; message M { int32 a = 1; }`,
      );
      expect(set.typeNames, name).toEqual(["M"]);
    }
    const set = parseSchema(
      'syntax = "proto3"; import "google/protobuf/duration.proto"; import "google/protobuf/wrappers.proto"; ' +
        "message M { google.protobuf.Duration d = 1; google.protobuf.Int64Value w = 2; }",
    );
    expect(set.toJson("M", set.toBinary("M", '{"d":"1.5s","w":"7"}'))).toBe(
      '{"d":"1.500s","w":"7"}',
    );
  });
});

describe("files that are wrong", () => {
  it("say file, line and reason", () => {
    const wrong = (body: string) => {
      const error = errorOf(() => parseSchema(`syntax = "proto3";\n${body}`)) as SchemaError;
      expect(error).toMatchObject({ _tag: "SchemaError", file: "/schema.proto" });
      return `${error.line}: ${error.message.replace(/^\/schema\.proto(:\d+)?: /, "")}`;
    };
    expect(wrong("message M {\n int32 a = 1;\n int32 b 2;\n}")).toBe(
      "4: is no valid .proto file: illegal token '2', '=' expected",
    );
    expect(wrong("message M {\n int32 a = 1;\n")).toMatch(/^\d: is no valid .proto file: illegal/);
    expect(wrong("message M { int32 a = 1;\n int32 b = 1; }")).toMatch(/duplicate id 1 in Type M/);
    expect(wrong("message M {\n Foo a = 1; }\nmessage Foo2 {}")).toBe(
      '3: field M.a is of type "Foo", which neither this file nor its imports declare; did you mean ' +
        '"Foo2"?',
    );
    expect(wrong("message M {\n int32 a = 0; }")).toMatch(/^3: field M.a has number 0; /);
    expect(wrong("message M {\n int32 a = 19000; }")).toMatch(/^3: field M.a has number 19000; /);
    expect(wrong("\nenum E { A = 1; }")).toBe("3: the first value of enum E must be 0, not 1");
    expect(wrong("enum E {}")).toBe("2: enum E has no values");
    expect(messageOf(() => parseSchema("message M {\n int32 a = 1; }"))).toBe(
      "/schema.proto:2: is no valid .proto file: illegal token 'int32'; does the file begin with: " +
        'syntax = "proto3";',
    );
    expect(messageOf(() => loadSchemas(["/no/such.proto"]))).toBe("/no/such.proto: no such file");
  });
});

/**
 * Reads and parses .proto files with all that they import, and checks what the parser lets pass.
 *
 * P1. Files come in the order in which they can be linked: what a file imports stands before it.
 * P2. Every reference to a type has been resolved, to a type of the same file or of an import.
 */
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import protobuf from "protobufjs";
import { suggestion } from "../definition/did-you-mean.ts";
import { SchemaError } from "../errors.ts";
import { addWellKnown, wellKnownDescriptor, wellKnownNames } from "./well-known.ts";

export interface ProtoFile {
  /** The name by which descriptors call it: "shop/orders.proto". No two are the same. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly package: string;
  readonly edition: "proto2" | "proto3" | "2023" | "2024" | "2026";
  /** Names of the files that it imports. */
  readonly imports: readonly string[];
  readonly messages: readonly protobuf.Type[];
  readonly enums: readonly protobuf.Enum[];
}

export interface ParsedFiles {
  readonly files: readonly ProtoFile[];
  /** Names of the google/protobuf files that they import, those too in order of linking. */
  readonly wellKnown: readonly string[];
}

/** The text of a file; undefined when there is none at that path. */
export type ReadProto = (path: string) => string | undefined;

export const readFromDisk: ReadProto = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new SchemaError(`cannot be read: ${message}`, path);
  }
};

/** The file that the parser names in its errors and notes on what it finds: global to it. */
const parserState = protobuf.parse as unknown as { filename: string | null };

const FIELD_NUMBER_MAX = 536_870_911;

class ProtoParser {
  readonly #root = new protobuf.Root();
  readonly #read: ReadProto;
  readonly #sources = new Map<string, string>();
  readonly #files = new Map<string, ProtoFile>();
  readonly #wellKnown = new Set<string>();
  /** Files whose imports are being read, outermost first. */
  readonly #open: string[] = [];

  constructor(read: ReadProto) {
    this.#read = read;
  }

  parse(paths: readonly string[]): ParsedFiles {
    for (const path of paths) this.#file(resolve(path), undefined);
    for (const file of this.#files.values()) this.#check(file);
    try {
      this.#root.resolveAll();
    } catch (error) {
      throw new SchemaError(`cannot be linked: ${(error as Error).message}`, paths[0]);
    }
    return { files: [...this.#files.values()], wellKnown: [...this.#wellKnown] };
  }

  #source(path: string): string | undefined {
    const text = this.#sources.get(path) ?? this.#read(path);
    if (text !== undefined) this.#sources.set(path, text);
    return text;
  }

  #file(path: string, importedBy: { path: string; line: number } | undefined): ProtoFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    if (this.#open.includes(path)) {
      const circle = [...this.#open.slice(this.#open.indexOf(path)), path].map((each) =>
        basename(each),
      );
      const reason = `imports go in a circle: ${circle.join(" -> ")}`;
      throw new SchemaError(reason, importedBy?.path, importedBy?.line);
    }
    const source = this.#source(path);
    if (source === undefined) throw new SchemaError("no such file", path);
    this.#open.push(path);
    const { result, objects } = this.#parseSource(path, source);
    const packageName = result.package ?? "";
    const imports = [...(result.imports ?? []), ...(result.weakImports ?? [])].map((target) =>
      this.#import(target, path, packageName, lineOf(source, JSON.stringify(target)) ?? 1),
    );
    this.#open.pop();
    const file: ProtoFile = {
      name: this.#nameOf(path, packageName),
      path,
      package: packageName,
      edition: editionOf(objects[0]),
      imports,
      messages: objects.filter((object) => object instanceof protobuf.Type),
      enums: objects.filter((object) => object instanceof protobuf.Enum),
    };
    this.#files.set(path, file);
    return file;
  }

  #parseSource(path: string, source: string) {
    try {
      parserState.filename = path;
      const result = protobuf.parse(source, this.#root, { keepCase: true });
      const scope = result.package === undefined ? this.#root : this.#root.lookup(result.package);
      const objects = (scope as protobuf.NamespaceBase).nestedArray.filter(
        (object) => object.filename === path,
      );
      return { result, objects };
    } catch (error) {
      throw syntaxError(path, source, (error as Error).message);
    } finally {
      parserState.filename = null;
    }
  }

  /** The name of the imported file, parsed with all that it imports. */
  #import(target: string, from: string, packageName: string, line: number): string {
    if (wellKnownDescriptor(target) !== undefined) {
      this.#addWellKnown(target);
      return target;
    }
    // As `protoc` resolves it, from the folder in which the package's own folders start, too.
    const tried: string[] = [];
    let folder = dirname(from);
    const levels = packageName === "" ? 0 : packageName.split(".").length;
    for (let level = 0; level <= levels; level++) {
      const path = resolve(folder, target);
      if (this.#source(path) !== undefined) return this.#file(path, { path: from, line }).name;
      tried.push(path);
      folder = dirname(folder);
    }
    const hint = target.startsWith("google/protobuf/")
      ? suggestion(target, wellKnownNames, "files of google/protobuf")
      : `; looked for ${tried.join(", ")}`;
    throw new SchemaError(
      `imports ${JSON.stringify(target)}, which does not exist${hint}`,
      from,
      line,
    );
  }

  #addWellKnown(name: string): void {
    if (this.#wellKnown.has(name)) return;
    for (const dependency of wellKnownDescriptor(name)!.dependency) this.#addWellKnown(dependency);
    addWellKnown(this.#root, name);
    this.#wellKnown.add(name);
  }

  /** "shop/orders.proto" for package shop in a folder of that name, otherwise "orders.proto". */
  #nameOf(path: string, packageName: string): string {
    const taken = new Set([...this.#files.values()].map((file) => file.name));
    const conventional = join(...packageName.split("."), basename(path));
    let name = path.endsWith(`/${conventional}`) ? conventional : basename(path);
    while (taken.has(name))
      name = path.slice(path.lastIndexOf("/", path.length - name.length - 2) + 1);
    return name;
  }

  /** What the parser lets pass: references, numbers, the first value of an enum. */
  #check(file: ProtoFile): void {
    const source = this.#sources.get(file.path)!;
    const visible = this.#reachable(file);
    const visit = (type: protobuf.Type): void => {
      for (const field of type.fieldsArray) this.#checkField(file, source, visible, type, field);
      for (const nested of type.nestedArray) {
        if (nested instanceof protobuf.Type) visit(nested);
        if (nested instanceof protobuf.Enum) checkEnum(file, source, nested);
      }
    };
    file.messages.forEach(visit);
    for (const each of file.enums) checkEnum(file, source, each);
  }

  #checkField(
    file: ProtoFile,
    source: string,
    visible: ReadonlySet<string>,
    type: protobuf.Type,
    field: protobuf.Field,
  ): void {
    const line = lineOf(source, field.name, "=", String(field.id));
    const label = `field ${type.fullName.slice(1)}.${field.name}`;
    if (field.id < 1 || field.id > FIELD_NUMBER_MAX || (field.id >= 19_000 && field.id <= 19_999)) {
      const reason = `${label} has number ${field.id}; numbers go from 1 to ${FIELD_NUMBER_MAX}, without 19000 to 19999`;
      throw new SchemaError(reason, file.path, line);
    }
    try {
      field.resolve();
    } catch {
      const names = this.#typeNames(visible);
      throw new SchemaError(
        `${label} is of type ${JSON.stringify(field.type)}, which neither this file nor its ` +
          `imports declare${suggestion(field.type, names, "types")}`,
        file.path,
        line,
      );
    }
    const home = field.resolvedType?.filename;
    if (typeof home === "string" && !visible.has(home)) {
      const reason = `${label} is of type ${JSON.stringify(field.type)}; import ${JSON.stringify(basename(home))}, which declares it`;
      throw new SchemaError(reason, file.path, line);
    }
  }

  /** Paths of the file and of all that it imports. */
  #reachable(file: ProtoFile): ReadonlySet<string> {
    const byName = new Map([...this.#files.values()].map((each) => [each.name, each]));
    const found = new Set<string>();
    const visit = (each: ProtoFile | undefined): void => {
      if (each === undefined || found.has(each.path)) return;
      found.add(each.path);
      for (const name of each.imports) visit(byName.get(name));
    };
    visit(file);
    return found;
  }

  #typeNames(paths: ReadonlySet<string>): readonly string[] {
    return [...this.#files.values()]
      .filter((file) => paths.has(file.path))
      .flatMap((file) => [...file.messages, ...file.enums].map((object) => object.name));
  }
}

const checkEnum = (file: ProtoFile, source: string, each: protobuf.Enum): void => {
  const first = Object.entries(each.values)[0];
  if (first !== undefined && (file.edition !== "proto3" || first[1] === 0)) return;
  const label = `enum ${each.fullName.slice(1)}`;
  const reason =
    first === undefined
      ? `${label} has no values`
      : `the first value of ${label} must be 0, not ${first[1]}`;
  throw new SchemaError(reason, file.path, lineOf(source, "enum", each.name));
};

const editionOf = (object: protobuf.ReflectionObject | undefined): ProtoFile["edition"] =>
  (object as { readonly _edition?: ProtoFile["edition"] } | undefined)?._edition ?? "proto3";

/** The line on which the words follow each other; undefined when they do not. */
const lineOf = (source: string, ...words: readonly string[]): number | undefined => {
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s*");
  const index = new RegExp(`(?<![\\w.])${pattern}(?!\\w)`).exec(source)?.index;
  return index === undefined ? undefined : source.slice(0, index).split("\n").length;
};

/** The parser's message, with its file and line where ours stand. */
const syntaxError = (path: string, source: string, message: string): SchemaError => {
  const line = /\(.*?line (\d+)\)$/.exec(message)?.[1];
  const reason = message
    .replace(/ \((?:[^()]*, )?line \d+\)$/, "")
    .replace("token 'null'", "end of file");
  const undeclared =
    !/^\s*(syntax|edition)\s*=/m.test(source) && message.startsWith("illegal token")
      ? '; does the file begin with: syntax = "proto3";'
      : "";
  return new SchemaError(
    `is no valid .proto file: ${reason}${undeclared}`,
    path,
    line === undefined ? undefined : Number(line),
  );
};

/** Throws {@link SchemaError}. */
export const parseProtos = (paths: readonly string[], read: ReadProto): ParsedFiles =>
  new ProtoParser(read).parse(paths);

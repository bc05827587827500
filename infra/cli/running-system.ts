/**
 * Where the system is that a command talks to: flags first, then the environment, then the `run.json`
 * of the data folder.
 */
import { resolve } from "node:path";
import { readRunFile, type RunFile } from "../processes/run-file.ts";
import { CliError } from "./cli-error.ts";

export const DATA_DIR_DEFAULT = ".tidemark";

export interface AddressOptions {
  /** host:port */
  readonly gateway?: string | undefined;
  readonly nats?: string | undefined;
  readonly dataDir?: string | undefined;
}

export interface SystemAddress {
  readonly gateway: string | undefined;
  readonly nats: string | undefined;
  /** Undefined when no system runs on the data folder. */
  readonly run: RunFile | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

export const findSystem = async (
  options: AddressOptions,
  environment: Environment,
): Promise<SystemAddress> => {
  const dataDir = resolve(options.dataDir ?? environment["TIDEMARK_DATA_DIR"] ?? DATA_DIR_DEFAULT);
  const run = await readRunFile(dataDir);
  return {
    gateway: options.gateway ?? environment["TIDEMARK_GATEWAY"] ?? run?.gateway,
    nats: options.nats ?? environment["TIDEMARK_NATS_URL"] ?? run?.natsUrl,
    run,
  };
};

export const nothingRuns = (flag: string): CliError =>
  new CliError("no running system was found here", {
    hint:
      "Start one with `tidemark start`, name its data folder with --data-dir, " +
      `or its address with ${flag}.`,
  });

export const requireGateway = (address: SystemAddress): string => {
  if (address.gateway === undefined) throw nothingRuns("--gateway host:port");
  if (!/^(\[[0-9a-fA-F:]+\]|[^:\s/]+):\d{1,5}$/.test(address.gateway)) {
    throw new CliError(`"${address.gateway}" is no address of a gateway`, {
      hint: "Write it as host:port, for example 127.0.0.1:4100.",
    });
  }
  return address.gateway;
};

export const requireNats = (address: SystemAddress): string => {
  if (address.nats === undefined) throw nothingRuns("--nats nats://host:port");
  return address.nats;
};

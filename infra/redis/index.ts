export type { RedisOptions } from "./client.ts";
export { redisSnapshotStore } from "./snapshot-store.ts";
export type { RedisSnapshotOptions } from "./snapshot-store.ts";

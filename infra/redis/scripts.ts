/**
 * What must happen at once in Redis. Each script is one call; no other command runs in between.
 */

/** Gives epoch, input sequence, id and chunk count of a manifest, or nothing when its seal is broken. */
const readManifest = `
local function manifest(key)
  local line = redis.pcall('GET', key)
  if type(line) ~= 'string' then return nil end
  local body, seal = string.match(line, '^(.*) (%x+)$')
  if not body or redis.sha1hex(body) ~= seal then return nil end
  local epoch, sequence, id, chunks = string.match(body, '^(%d+) (%d+) (%S+) (%d+) ')
  return { epoch = tonumber(epoch), sequence = tonumber(sequence), id = id, chunks = tonumber(chunks) }
end
local function dropChunks(key, id, chunks)
  for index = 0, chunks - 1 do redis.call('UNLINK', key .. ':' .. id .. ':' .. index) end
end
`;

/**
 * KEYS: manifest. ARGV: epoch, input sequence, id, chunk count, manifest line, and the data when it is
 * one chunk that is not stored yet. Returns 1, or 0 when a later snapshot is stored. The chunks of
 * what is replaced, or refused, are deleted.
 */
export const saveScript = `${readManifest}
local key, id, chunks = KEYS[1], ARGV[3], tonumber(ARGV[4])
local epoch, sequence = tonumber(ARGV[1]), tonumber(ARGV[2])
local old = manifest(key)
if old and (old.epoch > epoch or (old.epoch == epoch and old.sequence > sequence)) then
  dropChunks(key, id, chunks)
  return 0
end
if ARGV[6] then
  redis.call('SET', key .. ':' .. id .. ':0', ARGV[6])
else
  for index = 0, chunks - 1 do
    if redis.call('PERSIST', key .. ':' .. id .. ':' .. index) == 0 then
      return redis.error_reply('a chunk of the snapshot is gone')
    end
  end
end
redis.call('SET', key, ARGV[5])
if old and old.id ~= id then dropChunks(key, old.id, old.chunks) end
return 1
`;

/** KEYS: manifest. Deletes it and its chunks. */
export const removeScript = `${readManifest}
local old = manifest(KEYS[1])
if old then dropChunks(KEYS[1], old.id, old.chunks) end
redis.call('DEL', KEYS[1])
return 1
`;

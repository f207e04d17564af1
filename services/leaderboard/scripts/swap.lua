-- Puts what was loaded beside the live keys in their place, with the mark of the moment it was taken at.
--
-- KEYS  1 the lock, 2 watermark, 3 ahead, 4 deleted, 5 boards, then all loaded keys, then the live key of each.
-- ARGV  1 the lock's token; 2 the place up to which the loaded boards count; 3 the time in microseconds; then of each
--       loaded key the time when it expires, "+inf" for never, the command that counts its rows, and their number.
-- Gives 1, or 0 when the lock was lost or something that was loaded is gone; then nothing is changed.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
-- A server that lost the end of what was written to it may well have the lock, and the beginning of every key.
local count = (#KEYS - 5) / 2
for i = 1, count do
  if redis.call(ARGV[3 * i + 2], KEYS[5 + i]) ~= tonumber(ARGV[3 * i + 3]) then
    return 0
  end
end

-- UNLINK frees a large board in the background; DEL, and RENAME over it, would do that on the spot.
for _, board in ipairs(redis.call('ZRANGE', KEYS[5], 0, -1)) do
  redis.call('UNLINK', board, board .. ':reached')
end
redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[5])

for i = 1, count do
  local live, expire_time = KEYS[5 + count + i], ARGV[3 * i + 1]
  redis.call('RENAME', KEYS[5 + i], live)
  if expire_time == '+inf' then
    redis.call('PERSIST', live)
  else
    redis.call('EXPIRE', live, math.ceil((expire_time - ARGV[3]) / 1e6))
  end
end
redis.call('SET', KEYS[2], ARGV[2])
return 1

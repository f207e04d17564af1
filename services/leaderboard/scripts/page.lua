-- Reads entries that stand together, all at one moment.
--
-- KEYS  1 watermark, 2 the board.
-- ARGV  1 how many entries; 2 the place before the first one, or "" for a window around a player; 3 that player.
-- Gives the size of the board, the place before the first entry, its rank, and members with scores; an empty list when
-- the player is not on the board; nil when there are no marks.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local board, count, before = KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local size = redis.call('ZCARD', board)

if not before then
  local reached = redis.call('HGET', board .. ':reached', ARGV[3])
  if not reached then
    return {}
  end
  before = redis.call('ZREVRANK', board, reached .. ARGV[3]) - math.floor(count / 2)
  before = math.max(0, math.min(before, size - count)) -- near an end the window is moved, not cut
end

local entries = redis.call('ZRANGE', board, before, before + count - 1, 'REV', 'WITHSCORES')
local rank = 0
if #entries > 0 then
  rank = 1 + redis.call('ZCOUNT', board, '(' .. entries[2], '+inf')
end
return {size, before, rank, entries}

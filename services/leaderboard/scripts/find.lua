-- Reads the entries of some players, all at one moment.
--
-- KEYS  1 watermark, 2 the board.
-- ARGV  the players.
-- Gives position, rank and score of each player, or nil for one that is not on the board; nil when there are no marks.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local board = KEYS[2]
local reached, found = redis.call('HMGET', board .. ':reached', unpack(ARGV)), {}
for i, player in ipairs(ARGV) do
  if reached[i] then
    local member = reached[i] .. player
    local score = redis.call('ZSCORE', board, member)
    local rank = 1 + redis.call('ZCOUNT', board, '(' .. score, '+inf')
    found[i] = {1 + redis.call('ZREVRANK', board, member), rank, score}
  else
    found[i] = false
  end
end
return found

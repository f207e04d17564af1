-- Records score changes on every board they count for, and marks their places in the settle sequence.
--
-- KEYS  1 watermark, 2 ahead, 3 deleted, 4 boards, then the boards that wins among the changes count for.
-- ARGV  1 the changes, packed and ordered by place; 2 the time in microseconds; then of each board the time when it
--       expires, "+inf" for never.
-- Gives how many changes were new, and the watermark; nil when there are no marks, and then nothing is recorded.

local watermark = redis.call('GET', KEYS[1])
if not watermark then
  return false
end

local LAST, DELETED = 2 ^ 53 - 1, 2
local mark, waiting = tonumber(watermark), redis.call('SCARD', KEYS[2])

-- A place is new when it is above the watermark and not among those recorded ahead of it. Most are the very next one.
local function is_new(sequence)
  if sequence ~= mark + 1 then
    local new = sequence > mark and redis.call('SADD', KEYS[2], sequence) == 1
    waiting = waiting + (new and 1 or 0)
    return new
  end
  mark = sequence
  while waiting > 0 and redis.call('SREM', KEYS[2], mark + 1) == 1 do
    mark, waiting = mark + 1, waiting - 1
  end
  return true
end

-- Sums up what each player won, so that a board is changed once for each player, and with few commands.
local recorded, winners, won, reached, deleted = 0, {}, {}, {}, {}
local position = 1
while position <= #ARGV[1] do
  local sequence, amount, kind, player
  sequence, amount, kind, player, position = struct.unpack('>I8I8Bc16', ARGV[1], position)
  if is_new(sequence) then
    recorded = recorded + 1
    if kind == DELETED then
      deleted[#deleted + 1] = player
    elseif amount > 0 then
      if not won[player] then
        winners[#winners + 1] = player
        won[player] = 0
      end
      won[player] = won[player] + amount
      reached[player] = LAST - sequence -- inverted: the lowest is the latest
    end
  end
end
redis.call('SET', KEYS[1], mark)

-- The deleted leave every board there is; their names are not among KEYS, but share the hash tag.
if #deleted > 0 then
  redis.call('SADD', KEYS[3], unpack(deleted))
  for _, board in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    local places, members = redis.call('HMGET', board .. ':reached', unpack(deleted)), {}
    for i, player in ipairs(deleted) do
      if places[i] then
        members[#members + 1] = places[i] .. player
      end
    end
    if #members > 0 then
      redis.call('ZREM', board, unpack(members))
      redis.call('HDEL', board .. ':reached', unpack(deleted))
    end
    if redis.call('EXISTS', board) == 0 then -- nobody is left, or it expired
      redis.call('ZREM', KEYS[4], board)
    end
  end
end

-- A win that comes after its winner was deleted brings nobody back.
local players = {}
if #winners > 0 then
  local gone = redis.call('SMISMEMBER', KEYS[3], unpack(winners))
  for i, player in ipairs(winners) do
    if gone[i] == 0 then
      players[#players + 1] = player
    end
  end
end
if #players == 0 then
  return {recorded, mark}
end

for k = 5, #KEYS do
  local board, index = KEYS[k], KEYS[k] .. ':reached'
  local before, members = redis.call('HMGET', index, unpack(players)), {}
  for i, player in ipairs(players) do
    if before[i] then
      members[#members + 1] = before[i] .. player
    end
  end
  local scores = #members > 0 and redis.call('ZMSCORE', board, unpack(members)) or {}

  local known, left, entered, moved = 0, {}, {}, {}
  for i, player in ipairs(players) do
    local score, place = won[player], reached[player]
    if before[i] then
      known = known + 1
      score = score + tonumber(scores[known])
      place = math.min(place, (struct.unpack('>I8', before[i])))
    end
    place = struct.pack('>I8', place)
    if place ~= before[i] then
      left[#left + 1] = before[i] and members[known] or nil
      moved[#moved + 1] = player
      moved[#moved + 1] = place
    end
    entered[#entered + 1] = score
    entered[#entered + 1] = place .. player
  end
  if #left > 0 then
    redis.call('ZREM', board, unpack(left))
  end
  redis.call('ZADD', board, unpack(entered))
  if #moved > 0 then
    redis.call('HSET', index, unpack(moved))
  end

  local expire_time = ARGV[k - 2]
  if expire_time ~= '+inf' then
    local seconds = math.ceil((expire_time - ARGV[2]) / 1e6)
    redis.call('EXPIRE', board, seconds)
    redis.call('EXPIRE', index, seconds)
  end
  redis.call('ZADD', KEYS[4], expire_time, board)
end
return {recorded, mark}

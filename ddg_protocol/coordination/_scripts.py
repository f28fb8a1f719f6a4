"""What Valkey and Redis run: the rules of `_pace` and `_turns` once more, in Lua 5.1.

Each script works on one hash, its only key. Numbers are whole microseconds or counts, which doubles have exactly; they
are written by ``%.0f``, since `tostring` rounds to 14 digits. A script changes its hash by one HSET, then by what can
neither be refused for want of memory nor change a rule, so that it happens as a whole or not at all. What it reads is
checked: a hash of another form is an error, and stays as it is.

`CLOCK` is a part of both that tests can replace.
"""

from __future__ import annotations

from ..pace import FETCH_SECONDS, PATIENCE
from ._pace import FIRST_LOOK, MAX_PLACES, VERSION_SECONDS
from ._time import microseconds
from ._turns import MAX_EARLIER, MAX_REPLY_BYTES, MAX_TURNS
from .calls import MAX_WINDOW

_HOUR = 3600.0  # how often it is said that the pace is kept for a day more

CLOCK = """
local parts = redis.call('TIME')
local clock = parts[1] * 1000000 + parts[2]
"""

_COMMON = """
local key, verb = KEYS[1], ARGV[1]
local NEVER = -1000000000000000

local function text(number) return string.format('%.0f', number) end

local function unreadable(field)
  error({err = 'UNREADABLE the field ' .. string.match(field, '^%l*') .. ' has another form'})
end

local function whole(value, field, default)
  if not value then return default end
  if not string.find(value, '^%-?%d+$') then unreadable(field) end
  return tonumber(value)
end

-- If the clock goes back, time stands still for one call and then goes on.
local function look(time, offset)
  local now = clock + offset
  if now < time then return time, time - clock end
  return now, offset
end
"""

_PACE_LIMITS = f"""
local VERSION_TIME, FETCH_TIME = {microseconds(VERSION_SECONDS)}, {microseconds(FETCH_SECONDS)}
local PATIENCE, FIRST_LOOK, MAX_PLACES = {microseconds(PATIENCE)}, {microseconds(FIRST_LOOK)}, {MAX_PLACES}
local MAX_WINDOW, HOUR, KEPT = {microseconds(MAX_WINDOW)}, {microseconds(_HOUR)}, {microseconds(25 * _HOUR)}
"""

PACE = (
    f"{CLOCK}{_COMMON}{_PACE_LIMITS}"
    """
local stored, places, gone = {}, {}, {}
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do stored[flat[i]] = flat[i + 1] end

local function parse(field, pattern)
  local a, b, c, d, e = string.match(stored[field], pattern)
  if not a then unreadable(field) end
  return a, b, c, d, e
end

-- A life of the engine is one run of the server (where the user may ask for it) with one and the same hash.
local run, info = '', redis.pcall('INFO', 'server')
if type(info) == 'string' then
  local _, before = string.find(info, 'run_id:', 1, true)
  run = before and string.match(info, '^%x+', before + 1) or ''
end
local epoch, version = stored.epoch, stored.version or ''
local same = epoch and string.match(epoch, '^%x*:') == run .. ':'

local time, offset, held, learned, tickets = NEVER, 0, NEVER, NEVER, 0
if stored.times then
  time, offset, held, learned, tickets = parse('times', '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%d+)$')
  time, offset, held = tonumber(time), tonumber(offset), tonumber(held)
  learned, tickets = tonumber(learned), tonumber(tickets)
end
local now
now, offset = look(time, offset)

local given, fetch
for field in pairs(stored) do
  local ticket = string.byte(field) == 112 and string.match(field, '^p(%d+)$')
  if ticket and same then
    local need, fetches, till, nonce = parse(field, '^(%d+) ([01]) (%-?%d+) (.*)$')
    places[tonumber(ticket)] = {need = tonumber(need), fetches = fetches == '1', till = tonumber(till), nonce = nonce}
  elseif ticket then
    gone[#gone + 1] = field
  end
end
if not same then
  epoch, tickets = run .. ':' .. text(clock), 0
else
  if stored.given then
    local ticket, last, before, nonce = parse('given', '^(%d+) (%-?%d+) (%-?%d+) (.*)$')
    given = {ticket = tonumber(ticket), last = tonumber(last), before = tonumber(before), nonce = nonce}
  end
  if stored.fetch then
    local ticket, begun, since, nonce = parse('fetch', '^(%d+) (%-?%d+) (%-?%d+) (.*)$')
    fetch = {ticket = tonumber(ticket), begun = tonumber(begun), since = tonumber(since), nonce = nonce}
  end
end

local function save(result, field, place)
  local changes = {'times', string.format('%.0f %.0f %.0f %.0f %.0f', now, offset, held, learned, tickets)}
  local function set(name, value)
    changes[#changes + 1] = name
    changes[#changes + 1] = value
  end
  if not same then set('epoch', epoch) end
  if version ~= stored.version then set('version', version) end
  if given then
    set('given', string.format('%.0f %.0f %.0f ', given.ticket, given.last, given.before) .. given.nonce)
  elseif stored.given then
    gone[#gone + 1] = 'given'
  end
  if fetch then
    set('fetch', string.format('%.0f %.0f %.0f ', fetch.ticket, fetch.begun, fetch.since) .. fetch.nonce)
  elseif stored.fetch then
    gone[#gone + 1] = 'fetch'
  end
  if field then set(field, place) end
  redis.call('HSET', key, unpack(changes))
  for _, each in ipairs(gone) do
    if each ~= field then redis.call('HDEL', key, each) end
  end
  if verb == 'hold' or math.floor(now / HOUR) ~= math.floor(time / HOUR) then
    redis.call('PEXPIRE', key, text((math.max(held - now, 0) + KEPT) / 1000))
  end
  return result
end

if verb == 'hold' then
  held = math.max(held, now + ARGV[2])
  return save('held')
end

local nonce, interval, window, need = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local max_wait, fetches = tonumber(ARGV[8]), ARGV[9] == '1'

-- The turn's ticket: its own, if it is of this life, or the one that its call was given before.
local ticket
if ARGV[7] == epoch and string.find(ARGV[6], '^%d+$') and #ARGV[6] <= 15 then ticket = tonumber(ARGV[6]) end
if not ticket or ticket < 1 or ticket > tickets then
  ticket = nil
  for number, place in pairs(places) do
    if place.nonce == nonce and not (ticket and ticket < number) then ticket = number end
  end
  if not ticket and given and given.nonce == nonce then ticket = given.ticket end
  if not ticket then ticket = tickets + 1 end
end

-- What is over, and what the turn brings.
local count = 0
for number, place in pairs(places) do
  if number == ticket or place.till < now then
    places[number] = nil
    gone[#gone + 1] = 'p' .. text(number)
  else
    count = count + 1
  end
end
if not given then given = {ticket = 0, nonce = '', last = now + MAX_WINDOW, before = NEVER} end
if version ~= '' and now >= learned + VERSION_TIME then version = '' end
local function fetch_end() return math.min(fetch.begun + FETCH_TIME, fetch.since + PATIENCE) end
local fetched = fetch and fetch.ticket == ticket and fetch.nonce ~= nonce
if fetched then fetch = nil end
local wanted = version == '' and (not fetch or now >= fetch_end())  -- a newer one may be coming
if ARGV[10] ~= '' and (fetched or wanted) then
  fetch, version, learned = nil, ARGV[10], now
end
if fetches and version ~= '' then  -- the slot is for the request after the fetch
  fetches, need = false, math.max(1, need - 1)
end

local function waits(number, its)
  return its and fetch and fetch.ticket ~= number and now < fetch_end()
end

-- When its slot begins, and how many turns are ahead.
local ahead, requests, behind_fetch = 0, 0, false
local again = given.nonce == nonce
if interval > 0 and not (again and now <= given.last) then
  for number, place in pairs(places) do
    if number < ticket and not waits(number, place.fetches) then
      ahead, requests = ahead + 1, requests + place.need
      if fetch and number == fetch.ticket then behind_fetch = true end
    end
  end
end
local free = again and given.before or given.last
local start = math.max(now, held)
if interval > 0 then start = math.max(start, free + interval) + requests * (interval + window) end
local waiting = waits(ticket, fetches)
if waiting then
  start = math.max(start, math.min(fetch_end(), now + math.max(now - fetch.begun, FIRST_LOOK)))
  if not behind_fetch then ahead = ahead + 1 end
end

local delay = start - now
local final = delay <= math.floor(window / 2) and not waiting
if delay / 1000000 > max_wait or (count >= MAX_PLACES and not final) then
  return save('refused ' .. text(delay))
end
local till
if final then
  -- Where the call is repeated, an earlier answer may have a longer window.
  given = {ticket = ticket, nonce = nonce, last = math.max(given.last, now + window), before = free}
  if fetches then
    local since = start
    if fetch and now < fetch.begun + PATIENCE then since = fetch.since end
    fetch = {ticket = ticket, nonce = nonce, begun = start, since = since}
  end
  need, fetches, till = need - 1, false, given.last + interval + window
else
  till = start + window + interval
end
tickets = math.max(tickets, ticket)
local result = string.format('slot %.0f %d %.0f %s %.0f %s', delay, final and 1 or 0, ticket, epoch, ahead, version)
if need == 0 or interval == 0 then return save(result) end
return save(result, 'p' .. text(ticket), string.format('%.0f %d %.0f ', need, fetches and 1 or 0, till) .. nonce)
"""
)

_CONVERSATION_LIMITS = f"""
local MAX_TURNS, MAX_REPLY_BYTES, MAX_EARLIER = {MAX_TURNS}, {MAX_REPLY_BYTES}, {MAX_EARLIER}
"""

CONVERSATION = (
    f"{CLOCK}{_COMMON}{_CONVERSATION_LIMITS}"
    """
local names = {'time', 'offset', 'fence', 'holder', 'until', 'ended', 'marked', 'sent', 'revision', 'earlier'}
local stored = {}
for i, value in ipairs(redis.call('HMGET', key, unpack(names))) do stored[names[i]] = value end

local time, before = whole(stored.time, 'time', NEVER), whole(stored.offset, 'offset', 0)
local now, offset = look(time, before)
local fence, holder = whole(stored.fence, 'fence', 0), stored.holder or ''
local till = whole(stored['until'], 'until', NEVER)
local ended = stored.ended ~= '0'
local marked, sent = stored.marked == '1', stored.sent == '1'
local revision = whole(stored.revision, 'revision', 0)

local function bit(value) return value and '1' or '0' end

local function touch()
  if ARGV[2] ~= '' then redis.call('PEXPIRE', key, ARGV[2]) end
end

local function save(result, ...)
  redis.call(
    'HSET', key, 'time', text(now), 'offset', text(offset), 'fence', text(fence), 'holder', holder, 'until', text(till),
    'ended', bit(ended), 'marked', bit(marked), 'sent', bit(sent), 'revision', text(revision), ...
  )
  touch()
  return result
end

-- The clock that has gone back is remembered, or no lease would end while it catches up.
local function unchanged(result)
  if offset ~= before then
    redis.call('HSET', key, 'time', text(now), 'offset', text(offset))
    touch()
  end
  return result
end

local function document() return redis.call('HGET', key, 'document') or '' end

if verb == 'claim' then
  local claims, lease, turn, claimed = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
  if turn ~= '' then
    local done = redis.call('HGET', key, 'k:' .. turn)
    if done then
      return unchanged({'done', redis.call('HGET', key, 'r:' .. done) or '', text(revision), document()})
    end
  end
  if claims == holder and not ended and (claimed == 0 or claimed == fence) then
    till = math.max(till, now + lease)  -- a call that is late doesn't make it shorter
    return save({'claimed', text(fence), text(revision), claimed == 0 and document() or '', bit(sent)})
  end
  local earlier = stored.earlier or ''  -- each with a space behind it
  local had_it = claims == holder or string.find(' ' .. earlier, ' ' .. claims .. ' ', 1, true)
  if claimed ~= 0 or had_it then return unchanged({'lost'}) end
  if now < till and not ended and ARGV[7] ~= '1' then return unchanged({'busy', text(till - now)}) end
  local info = redis.pcall('INFO', 'memory')
  local policy = type(info) == 'string' and string.match(info, 'maxmemory_policy:(%S+)')
  if policy and policy ~= 'noeviction' then return {'evicts', policy} end
  if holder ~= '' then earlier = earlier .. holder .. ' ' end
  if select(2, string.gsub(earlier, ' ', '')) > MAX_EARLIER then earlier = string.match(earlier, ' (.*)') end
  -- As a time, it is larger than what was given before the server lost its data.
  fence, holder, till = math.max(fence + 1, now), claims, now + lease
  ended, marked, sent = false, false, sent or marked
  return save({'claimed', text(fence), text(revision), document(), bit(sent)}, 'earlier', earlier)
end

local is_holder = tonumber(ARGV[3]) == fence and not ended

if verb == 'mark' then
  if not is_holder then return unchanged({'lost'}) end
  till, marked = math.max(till, now + ARGV[4]), true
  return save({'marked'})
end

if verb == 'release' then
  if tonumber(ARGV[3]) == fence and ended then return unchanged({'released'}) end
  if tonumber(ARGV[4]) ~= revision or not is_holder then return unchanged({'lost'}) end
  ended, marked = true, false
  if ARGV[5] ~= '1' then return save({'released'}) end
  sent, revision = false, revision + 1
  return save({'released'}, 'document', ARGV[6])
end

-- Of each turn that is remembered: its key by its fence (t), its reply by its fence (r), its fence by its key (k).
local turn, reply = ARGV[6], ARGV[7]
if redis.call('HGET', key, 't:' .. ARGV[3]) == turn then
  redis.call('HSET', key, 'revision', text(revision))  -- WAIT counts the writes of its own connection
  return unchanged({'committed', text(revision)})
end
local is_done = turn ~= '' and redis.call('HEXISTS', key, 'k:' .. turn) == 1
if is_done or tonumber(ARGV[4]) ~= revision or not is_holder then return unchanged({'lost'}) end
ended, marked, sent, revision = true, false, false, revision + 1
local changes = {'document', ARGV[5], 't:' .. ARGV[3], turn}
if turn ~= '' then
  for _, part in ipairs({'k:' .. turn, ARGV[3], 'r:' .. ARGV[3], reply}) do changes[#changes + 1] = part end
end
local result = save({'committed', text(revision)}, unpack(changes))

local fences = {}
for _, field in ipairs(redis.call('HKEYS', key)) do
  local number = string.match(field, '^t:(%d+)$')
  if number then fences[#fences + 1] = number end
end
table.sort(fences, function(a, b) return tonumber(a) > tonumber(b) end)
local size = 0
for i, number in ipairs(fences) do
  size = size + redis.call('HSTRLEN', key, 'r:' .. number)
  if i > MAX_TURNS then
    local name = redis.call('HGET', key, 't:' .. number)
    redis.call('HDEL', key, 't:' .. number, 'r:' .. number, 'k:' .. name)
  elseif i > 1 and size > MAX_REPLY_BYTES then
    redis.call('HDEL', key, 'r:' .. number)
  end
end
return result
"""
)

LOOK = """
local time, info = redis.call('TIME'), redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
if not ARGV[2] then return {time[1], time[2], run, redis.call('HGETALL', KEYS[1])} end
local names, flat = {unpack(ARGV, 2)}, {}
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  if value then
    flat[#flat + 1] = names[i]
    flat[#flat + 1] = value
  end
end
return {time[1], time[2], run, flat}
"""
"""Reads a hash of the other scripts, or some of its fields, with the time and the server's run. It changes nothing."""

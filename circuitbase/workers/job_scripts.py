"""The steps of a job record as Lua: each happens as a whole, by the server's clock.

The server's clock is the only one: workers on several hosts need not agree on the time.
"""

_NOW = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1e6
"""

_IS_FINAL = """
local function is_final(state)
  return state == 'stored' or state == 'failed' or state == 'dead' or state == 'cancelled'
end
"""

# KEYS: the job, the index of jobs, the active jobs, the index of its set, the names of sets
# ARGV: trace id, request, prompt set, priority
PUT = (
    _NOW
    + _IS_FINAL
    + """
redis.call('HSET', KEYS[1], 'set:' .. ARGV[3], '1')
redis.call('ZADD', KEYS[4], 'NX', now, ARGV[1])
redis.call('SADD', KEYS[5], ARGV[3])
local state = redis.call('HGET', KEYS[1], 'state')
if state and not is_final(state) then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'request', ARGV[2], 'error', '', 'attempts', 0, 'deaths', 0,
           'priority', ARGV[4], 'queued_at', now, 'changed_at', now)
redis.call('ZADD', KEYS[2], 'NX', now, ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
return 1
"""
)

# A job that is worked on is begun again only by its own worker, whose child died, or when no lease vouches for it: else
# the message is a second one, as a broker that was away sends. What a worker says that lost its job to another
# counts only where it did the work.
# KEYS: the job, the active jobs, the leases
# ARGV: trace id, new state, error, seconds of a lease, channel, seconds that tracing took, the worker
MOVE = (
    _NOW
    + _IS_FINAL
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or is_final(state) then return 0 end
if ARGV[2] == 'tracing' and state ~= 'queued' and state ~= 'tracing' then return 0 end
if ARGV[2] == 'storing' and state ~= 'traced' and state ~= 'storing' then return 0 end
local is_others = (state == 'tracing' or state == 'storing') and redis.call('HGET', KEYS[1], 'holder') ~= ARGV[7]
if ARGV[2] == 'tracing' or ARGV[2] == 'storing' then
  if state == ARGV[2] then
    local lease = redis.call('ZSCORE', KEYS[3], ARGV[1])
    if is_others and lease and tonumber(lease) > now then return 0 end
    redis.call('HINCRBY', KEYS[1], 'deaths', 1)
  end
  redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  redis.call('HSET', KEYS[1], 'holder', ARGV[7])
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[4]), ARGV[1])
else
  local is_work_done = ARGV[2] == 'stored' or (ARGV[2] == 'traced' and state == 'tracing')
  if is_others and not is_work_done then return 0 end
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'error', ARGV[3], 'changed_at', now)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'seconds', ARGV[6]) end
if is_final(ARGV[2]) then redis.call('SREM', KEYS[2], ARGV[1]) end
redis.call('PUBLISH', ARGV[5], ARGV[1])
return 1
"""
)

# Returns the state before. A job that is being stored is left to it: its trace is half in the database.
# KEYS: the job, the active jobs, the leases
# ARGV: trace id, channel
CANCEL = (
    _NOW
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'tracing' and state ~= 'traced' then return state end
local error = 'cancelled'
if state == 'tracing' then error = 'cancelled while it was being traced' end
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'error', error, 'changed_at', now)
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return state
"""
)

# Else a job that is submitted again would have two messages, and two workers could compute it at once.
# KEYS: a list of messages
# ARGV: what the keys of jobs begin with
DROP_CANCELLED = """
for _ = 1, redis.call('LLEN', KEYS[1]) do
  local message = redis.call('RPOPLPUSH', KEYS[1], KEYS[1])
  local id = cjson.decode(message)['headers']['id']
  if redis.call('HGET', ARGV[1] .. id, 'state') == 'cancelled' then redis.call('LPOP', KEYS[1]) end
end
"""

# KEYS: the job, the active jobs
# ARGV: trace id, channel
RETRY = (
    _NOW
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'failed' and state ~= 'dead' and state ~= 'cancelled' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'error', '', 'attempts', 0, 'deaths', 0, 'changed_at', now)
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1
"""
)

/**
 * Adds all messages or none: all, if the last id that there has ever been is the expected one. ARGV is that
 * id, the hash that the last message must have if it is still there ('' for any), and for each message its id,
 * how many texts follow, and these: field, value, and so on.
 */
export const APPEND_SCRIPT = `
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return info end
local last, entry = '', false
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
  if info[i] == 'last-entry' then entry = info[i + 1] end
end
if last ~= ARGV[1] then
  return redis.error_reply('FENCED the stream ends at ' .. last .. ', not at ' .. ARGV[1])
end
if entry and ARGV[2] ~= '' then
  local hash = ''
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'X0x-Sha256' then hash = entry[2][i + 1] end
  end
  if hash ~= ARGV[2] then return redis.error_reply('FENCED another message is at ' .. last) end
end
local i = 3
while i < #ARGV do
  local n = tonumber(ARGV[i + 1])
  redis.call('XADD', KEYS[1], ARGV[i], unpack(ARGV, i + 2, i + 1 + n))
  i = i + 2 + n
end
return 'OK'
`

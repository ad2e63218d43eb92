const { useAudit } = require('./use-audit.js')

test('require() under jest: an event is durable', async () => {
  const { outcome, lines } = await useAudit(require('x0x-exec-audit'), 'jest.log')
  expect(outcome).toBe('durable')
  expect(lines).toBe(1)
})

import { expect, test } from 'vitest'
import * as audit from 'x0x-exec-audit'
import { useAudit } from './use-audit.js'

test('import under vitest: an event is durable', async () => {
  const { outcome, lines } = await useAudit(audit, `vitest-${process.env.POOL}.log`)
  expect(outcome).toBe('durable')
  expect(lines).toBe(1)
})

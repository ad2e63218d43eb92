import { makeReference, REFERENCE, readReference } from '../package/api-reference'
import { useTempDir } from '../support/temp-dir'

describe('the reference of the API', () => {
  const dir = useTempDir()

  it('is what the docstrings say now, and nothing public goes without one (npm run docs)', () => {
    makeReference(dir.path('api'))
    expect(readReference(REFERENCE)).toEqual(readReference(dir.path('api')))
  })
})

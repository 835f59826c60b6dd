/**
 * Rows per second of `CompiledTrigger.render`, which checks the body too, beside bare `liquidjs.renderSync`
 * of the same template, in turns in the same process. Run: node test/bench/render-templates.ts
 */
import { compileTrigger } from '@sluice/templates/compile'
import { median } from './median.ts'
import { bareLiquid, benchRow, RENDER_BENCHES, type RenderBench } from './render-cases.ts'

const ROWS = 100
const ROUND_MS = 400
const ROUNDS = 5

const rows = Array.from({ length: ROWS }, (_, index) => benchRow(index))
const templateRows = rows.map(row => ({ row, previous: null, captured: null }))
const context = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'bench' } }
/** Calls it again and again for one round; gives calls per second. */
function measure(call: () => void): number {
  const start = performance.now()
  let calls = 0
  for (; performance.now() - start < ROUND_MS; calls++) call()
  return (calls * 1000) / (performance.now() - start)
}

/** Measures a body beside the liquidjs template that makes the same of the rows. */
function compare({ name, body, template, batched }: RenderBench): void {
  const batch = batched ? { batch: { size: ROWS, bytes: 10_000_000 } } : {}
  const spec = { method: 'POST', path: '/1/indexes/main/batch', body, ...batch } as const
  const trigger = compileTrigger(spec, { sync: 'bench', op: 'added' })
  const parsed = bareLiquid.parse(template)
  const row = rows[0] ?? {}
  const single = templateRows.slice(0, 1)
  const scope = { ...row, row, rows: [row] }
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(measure(() => void bareLiquid.renderSync(parsed, batched ? { rows } : scope)))
    ours.push(
      measure(() => {
        const result = trigger.render(batched ? templateRows : single, context)
        if (result.kind === 'unrenderable') throw new Error(result.error)
      }),
    )
  }
  const perCall = batched ? ROWS : 1
  const [a, b] = [median(ours) * perCall, median(bare) * perCall]
  console.log(
    `${name.padEnd(28)} ${format(a)} rows/s   bare liquidjs ${format(b)} rows/s   ${(a / b).toFixed(2)}×`,
  )
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en').padStart(10)
}

for (const bench of RENDER_BENCHES) compare(bench)

/**
 * Random histories of one sync, made from a seed: what people do to the model, what they ask for, and what
 * breaks when. The same plan can be played by the model of the protocol and by the pipeline itself.
 */
import { OPS, type Op } from '@sluice/contracts/state'
import { randomFrom, type Random } from '@sluice/testkit/random'

export type Row = {
  readonly v: number
  readonly w: number
}

export const KEYS = ['a', 'b', 'c', 'd', 'e'] as const
/** Other spellings of some of them, in histories with an API that takes both for one. */
const TWINS: readonly string[] = ['A', 'B']
export const EVERY_KEY: readonly string[] = [...KEYS, ...TWINS]

/** The form that two spellings of a key share. */
export function folded(key: string): string {
  return key.toLowerCase()
}

/** The other spelling of a key; null if it has none. */
function twinOf(key: string): string | null {
  return EVERY_KEY.find(other => other !== key && folded(other) === folded(key)) ?? null
}

/**
 * upserts: the API accepts every request. strict: it does not create an object that exists, and does not
 * change one that is missing. makes-ids: it makes the ids of its objects, and gives them in its answers.
 */
export const API_KINDS = ['upserts', 'strict', 'makes-ids'] as const
export type ApiKind = (typeof API_KINDS)[number]

/** The fate of one request. If its outcome is unknown, `applied` says whether the API applied it. */
export type Fate =
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'throttled' }
  | { readonly kind: 'not-sent' }
  /** The API looks at the token alone, and refuses it. */
  | { readonly kind: 'token-refused' }
  | { readonly kind: 'broken'; readonly status: number | null; readonly applied: boolean }

export type Edit =
  | { readonly kind: 'set'; readonly key: string; readonly row: Row }
  | { readonly kind: 'remove'; readonly key: string }
  /** The row of the key, or of its twin, gets the other spelling. */
  | { readonly kind: 'respell'; readonly key: string }
  /** The model has a row of its own under the other spelling, too. */
  | { readonly kind: 'double'; readonly key: string; readonly row: Row }
  | { readonly kind: 'swap'; readonly keys: readonly [string, string] }

/** The point at which delivery of a partition dies: the request, and how far that request has come. */
export interface Death {
  /** The share of the partition's requests before it, from 0 to 1. */
  readonly at: number
  readonly step: 'before-attempt' | 'before-entries' | 'after-entries'
  /** The number of later requests that are in flight too. */
  readonly others: number
}

/** The point at which a stage cannot go on: the share of the partition's requests, from 0 to 1. */
export interface SetAside {
  readonly at: number
  /**
   * The fate of the rest once the stage works again: delivery says that it is unsent, or it stays unknown.
   */
  readonly rest: 'unsent' | 'passed-over'
}

export type Command = 'run' | 'retry' | 'resync' | 'resync-changed' | 'discard' | 'replay'

/** The fate of one row of a request, where the answer tells of each row. */
export type RowFate = 'taken' | 'refused' | 'throttled' | 'unknown' | 'unknown-and-taken'

export interface RunPlan {
  readonly command: Command
  readonly edits: readonly Edit[]
  /** The keys that the model has twice. */
  readonly invalid: readonly string[]
  readonly triggers: readonly Op[]
  readonly compare: readonly (keyof Row)[]
  /** The fates of the requests that contain a key, in the order in which they are sent. */
  readonly fates: { readonly [key: string]: readonly Fate[] }
  /** The fates of single rows, by key, in the order in which they are sent. */
  readonly rowFates: { readonly [key: string]: readonly RowFate[] }
  /** The share of its writes, from 0 to 1, after which the detector dies. Null: it does not die. */
  readonly detectorDies: number | null
  readonly deliveryDies: readonly (Death | null)[]
  /**
   * By partition: the share of its requests, from 0 to 1, after which its delivery hands it over in good
   * order. Null: it does not.
   */
  readonly handsOver: readonly (number | null)[]
  /**
   * The point at which a stage cannot go on with a partition, and the sync is set aside. Null: it can go on.
   */
  readonly setAside: readonly (SetAside | null)[]
  /** The share of its requests, from 0 to 1, after which the run is cancelled. Null: it is not cancelled. */
  readonly cancelled: number | null
  /** The cache of the delivered state is lost before the run. */
  readonly losesCache: boolean
  /** It was asked for while the run before was at work. */
  readonly askedBehind: boolean
  /** Its process, which did all the work, dies once all is published: the run counts as cut. */
  readonly interrupted: boolean
  /**
   * The share of its writes, from 0 to 1, after which the run dies, too, that takes the place of a cut one.
   * Null: it does not die.
   */
  readonly diesAgain: number | null
  /** The key whose request ends each process that sends it. Null: none does. */
  readonly deadly: string | null
}

export interface HistoryPlan {
  readonly seed: number
  readonly api: ApiKind
  readonly partitions: number
  readonly batchSize: number
  readonly skipExisting: boolean
  readonly giveUpAfter: number | null
  /** A failed request gets this many more tries within a run. */
  readonly extraTries: number
  /** True if answers tell what became of each row. Then batches may go to any API. */
  readonly tellsRows: boolean
  /** True if a batch that is refused is halved. */
  readonly splitsBatches: boolean
  /** Nothing that may have arrived is sent again until somebody says so. */
  readonly atMostOnce: boolean
  /** True if each attempt has a token, which the API may refuse. */
  readonly hasTokens: boolean
  /**
   * True for an API that takes twins for one. Then keys change their spelling, and the model may have both.
   * If such an API is strict, and tells of no rows, no rule of the sync says what its 404 means.
   */
  readonly foldsKeys: boolean
  readonly runs: readonly RunPlan[]
}

export const FAULT_FREE: RunPlan = {
  command: 'run',
  edits: [],
  invalid: [],
  triggers: OPS,
  compare: ['v', 'w'],
  fates: {},
  rowFates: {},
  detectorDies: null,
  deliveryDies: [],
  handsOver: [],
  setAside: [],
  cancelled: null,
  losesCache: false,
  askedBehind: false,
  interrupted: false,
  diesAgain: null,
  deadly: null,
}

const RUNS_TO_CONVERGE: { readonly [kind in ApiKind]: number } = { upserts: 1, strict: 3, 'makes-ids': 3 }

/**
 * Runs without failures after which the destination has the model's rows (R4). A removal that goes out late
 * may take away the row of its twin, which the next run sends again.
 */
export function runsToConverge({ api, foldsKeys }: Pick<HistoryPlan, 'api' | 'foldsKeys'>): number {
  return RUNS_TO_CONVERGE[api] + (foldsKeys ? 1 : 0)
}

/** True if a rule of the sync says what a 404 means. */
export function tellsMissing(plan: Pick<HistoryPlan, 'api' | 'foldsKeys' | 'tellsRows'>): boolean {
  return plan.api !== 'upserts' && (!plan.foldsKeys || plan.tellsRows)
}

const MAX_RUNS = 7
const FATES_A_KEY = 4
const STEPS = ['before-attempt', 'before-entries', 'after-entries'] as const

export function planHistory(seed: number): HistoryPlan {
  const random = randomFrom(seed)
  const api = random.pick(API_KINDS)
  const partitions = 1 + random.below(3)
  const tries = randomFrom(seed ^ 0x3c6ef372)
  const rows = randomFrom(seed ^ 0x85ebca6b)
  const tellsRows = rows.chance(0.5)
  // An answer that does not tell of rows tells one id, and what exists or is missing.
  const batchSize = api === 'upserts' ? random.pick([1, 1, 2, 3]) : 1
  const once = randomFrom(seed ^ 0x1b873593)
  const atMostOnce = once.chance(0.25)
  const tokens = randomFrom(seed ^ 0x27d4eb2f)
  const hasTokens = tokens.chance(0.3)
  const twins = randomFrom(seed ^ 0x165667b1)
  const foldsKeys = (api === 'upserts' || (api === 'strict' && !atMostOnce)) && twins.chance(0.5)
  // Without a rule for 404, every state of a row has to be true.
  const isBare = foldsKeys && api === 'strict' && !tellsRows
  const bare: Partial<RunPlan> = isBare
    ? { triggers: OPS, detectorDies: null, interrupted: false, diesAgain: null }
    : {}
  const cuts = randomFrom(seed ^ 0x4cf5ad43)
  const deaths = randomFrom(seed ^ 0x2545f491)
  return {
    seed,
    foldsKeys,
    api,
    partitions,
    batchSize: tellsRows ? rows.pick([1, 2, 3, 5]) : batchSize,
    tellsRows,
    splitsBatches: rows.chance(0.5),
    skipExisting: api !== 'makes-ids' && random.chance(0.15) && !isBare,
    giveUpAfter: random.chance(0.15) ? 2 + random.below(3) : null,
    extraTries: tries.pick([0, 0, 1, 2, 3]),
    atMostOnce,
    hasTokens,
    runs: Array.from({ length: 2 + random.below(MAX_RUNS - 1) }, (_, run) => ({
      ...withTwins(
        withRefusals(planRun(random, { partitions, run, isBare }), hasTokens ? tokens : null),
        foldsKeys ? twins : null,
      ),
      ...(atMostOnce && run > 0 && once.chance(0.15) ? { command: 'retry' as const } : {}),
      askedBehind: cuts.chance(0.3),
      interrupted: cuts.chance(0.15),
      diesAgain: cuts.chance(0.3) ? cuts.next() : null,
      deadly: deaths.chance(0.12) ? deaths.pick(KEYS) : null,
      ...bare,
      handsOver: Array.from({ length: partitions }, () => (tries.chance(0.15) ? tries.next() : null)),
      rowFates: Object.fromEntries(
        KEYS.map(key => [key, Array.from({ length: FATES_A_KEY }, () => planRowFate(rows))]),
      ),
    })),
  }
}

/** Some keys change their spelling, and requests of both spellings have fates. */
function withTwins<R extends Pick<RunPlan, 'edits' | 'fates'>>(run: R, random: Random | null): R {
  if (random === null) return run
  const respelled = TWINS.filter(() => random.chance(0.4))
  const edits = respelled.map((key): Edit => {
    if (random.chance(0.7)) return { kind: 'respell', key }
    return { kind: 'double', key, row: { v: random.below(3), w: random.below(2) } }
  })
  const fates = TWINS.map(key => [key, Array.from({ length: FATES_A_KEY }, () => planFate(random))] as const)
  return { ...run, edits: [...run.edits, ...edits], fates: { ...run.fates, ...Object.fromEntries(fates) } }
}

/** Some requests of each key find their token refused; now and then twice in a row. */
function withRefusals<R extends Pick<RunPlan, 'fates'>>(run: R, random: Random | null): R {
  if (random === null) return run
  const fates = Object.entries(run.fates).map(([key, planned]) => {
    const refusals: readonly Fate[] = Array.from({ length: random.pick([0, 0, 1, 2]) }, () => ({
      kind: 'token-refused',
    }))
    const at = random.below(planned.length + 1)
    return [key, [...planned.slice(0, at), ...refusals, ...planned.slice(at)]] as const
  })
  return { ...run, fates: Object.fromEntries(fates) }
}

function planRun(
  random: Random,
  of: { readonly partitions: number; readonly run: number; readonly isBare: boolean },
): Omit<RunPlan, 'handsOver' | 'rowFates' | 'askedBehind' | 'interrupted' | 'diesAgain' | 'deadly'> {
  const triggers = random.chance(0.12) ? OPS.filter(() => random.chance(0.6)) : OPS
  const command =
    of.run === 0 || random.chance(0.7)
      ? 'run'
      : random.pick(['resync', 'resync-changed', 'discard', 'replay'] as const)
  return {
    // A removal that is sent again may take away the row of a twin that counts as there.
    command: of.isBare && command === 'replay' ? 'resync' : command,
    edits: planEdits(random),
    invalid: random.chance(0.15) ? [random.pick(KEYS)] : [],
    triggers: triggers.length === 0 ? OPS : triggers,
    compare: random.chance(0.85) ? ['v', 'w'] : ['v'],
    fates: Object.fromEntries(
      KEYS.map(key => [key, Array.from({ length: FATES_A_KEY }, () => planFate(random))]),
    ),
    detectorDies: random.chance(0.15) ? random.next() : null,
    deliveryDies: Array.from({ length: of.partitions }, () =>
      random.chance(0.2) ? planDeath(random) : null,
    ),
    cancelled: random.chance(0.08) ? random.next() : null,
    losesCache: random.chance(0.2),
    setAside: Array.from({ length: of.partitions }, () =>
      random.chance(0.1) ? { at: random.next(), rest: random.pick(['unsent', 'passed-over']) } : null,
    ),
  }
}

function planEdits(random: Random): readonly Edit[] {
  const edits: Edit[] = []
  for (const key of KEYS) {
    if (random.chance(0.2)) edits.push({ kind: 'remove', key })
    // Few values, so that rows often become what they were before.
    else if (random.chance(0.45))
      edits.push({ kind: 'set', key, row: { v: random.below(3), w: random.below(2) } })
  }
  if (random.chance(0.1)) edits.push({ kind: 'swap', keys: [random.pick(KEYS), random.pick(KEYS)] })
  return edits
}

function planFate(random: Random): Fate {
  if (random.chance(0.55)) return { kind: 'answered' }
  const kind = random.pick(['refused', 'throttled', 'not-sent', 'broken', 'broken', 'broken'] as const)
  if (kind !== 'broken') return { kind }
  return { kind, status: random.pick([500, 408, null, null]), applied: random.chance(0.5) }
}

function planRowFate(random: Random): RowFate {
  if (random.chance(0.6)) return 'taken'
  return random.pick(['refused', 'refused', 'throttled', 'unknown', 'unknown-and-taken'])
}

function planDeath(random: Random): Death {
  return { at: random.next(), step: random.pick(STEPS), others: random.below(3) }
}

/** Edits a model as people do before a run. */
export function editModel(model: Map<string, Row>, { edits }: Pick<RunPlan, 'edits'>): void {
  const spelled = (key: string): string => {
    const twin = twinOf(key)
    return twin !== null && model.has(twin) && !model.has(key) ? twin : key
  }
  for (const edit of edits) {
    if (edit.kind === 'set') model.set(spelled(edit.key), edit.row)
    else if (edit.kind === 'remove') model.delete(spelled(edit.key))
    else if (edit.kind === 'respell') respell(model, spelled(edit.key))
    else if (edit.kind === 'double') {
      const twin = twinOf(spelled(edit.key))
      if (twin !== null) model.set(twin, edit.row)
    } else swap(model, [spelled(edit.keys[0]), spelled(edit.keys[1])])
  }
}

function respell(model: Map<string, Row>, key: string): void {
  const [row, twin] = [model.get(key), twinOf(key)]
  if (row === undefined || twin === null) return
  model.delete(key)
  model.set(twin, row)
}

function swap(model: Map<string, Row>, [a, b]: readonly [string, string]): void {
  const [rowA, rowB] = [model.get(a), model.get(b)]
  if (rowA === undefined || rowB === undefined) return
  model.set(a, rowB)
  model.set(b, rowA)
}

/** Gives the fate of the next send of a row. An unplanned row is taken. */
export function rowFatesOf({ rowFates }: Pick<RunPlan, 'rowFates'>): (key: string) => RowFate {
  const sends = new Map<string, number>()
  return key => {
    const nth = sends.get(key) ?? 0
    sends.set(key, nth + 1)
    return rowFates[key]?.[nth] ?? 'taken'
  }
}

/** Gives the fate of the next request whose first key it is. An unplanned request is answered. */
export function fatesOf({ fates }: Pick<RunPlan, 'fates'>): (key: string) => Fate {
  const sends = new Map<string, number>()
  return key => {
    const nth = sends.get(key) ?? 0
    sends.set(key, nth + 1)
    return fates[key]?.[nth] ?? { kind: 'answered' }
  }
}

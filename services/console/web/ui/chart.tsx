/**
 * A chart over time with axes, a legend, and the values at the pointer. Lines and legend have the same
 * colours.
 */
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef, useState, type ReactElement, type RefObject } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clockOf } from './format.ts'

export interface ChartLine {
  readonly name: string
  readonly tone: 'accent' | 'good' | 'warn' | 'bad' | 'busy'
  /** One value for each instant. Null where there is none. */
  readonly values: readonly (number | null)[]
}

/** `times` and `lines` stay the same objects as long as their values do. */
interface ChartProps {
  /** The words above the chart. They are all that screen readers read. */
  readonly label: string
  /** Instants in ms, in order. */
  readonly times: readonly number[]
  readonly lines: readonly ChartLine[]
  /** With `bars`, the bars of the lines are stacked, with the first line at the bottom. */
  readonly kind?: 'lines' | 'bars'
  readonly inWords: (value: number) => string
}

const HEIGHT = 180
const AXIS_WIDTH = 64
const TIMES_HEIGHT = 28
/** Half of a time's width, since the last time is written around the right edge. */
const RIGHT_EDGE = 28
/** The least distance of two times on the axis, in pixels. */
const TIME_SPACE = 90
/** The steps between two times of the axis, in seconds. Its times have no fractions of seconds. */
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400]
/** The steps between two values of the axis, which are requests, rows or milliseconds, and so are whole. */
const WHOLE_STEPS = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map(step => step * 10 ** power)).flat()
const FILL_SHARE = 0.14
const BAR_SHARE = 0.85
const MAX_BAR_WIDTH = 40

/** The place of the pointer: the index of an instant, and the distance from the left edge in pixels. */
interface Pointed {
  readonly index: number
  readonly left: number
}

export function Chart({ label, times, lines, kind = 'lines', inWords }: ChartProps): ReactElement {
  const place = useRef<HTMLDivElement>(null)
  const legend = useRef<HTMLUListElement>(null)
  const [pointed, setPointed] = useState<Pointed | null>(null)
  const shape = `${kind} ${lines.map(({ name, tone }) => `${name} ${tone}`).join(' ')}`
  usePlot({ place, legend, times, lines, kind, inWords, shape, onPointed: setPointed })
  const at = pointed === null ? undefined : times[pointed.index]
  return (
    <figure className="plot">
      <figcaption className="quiet">{label}</figcaption>
      <div ref={place} role="img" aria-label={label} className="plot-place" />
      {pointed === null || at === undefined ? null : (
        <div className="plot-tip" aria-hidden="true" style={{ left: pointed.left }}>
          <small>{clockOf(new Date(at))}</small>
          {lines.map(({ name, tone, values }) => {
            const value = values[pointed.index] ?? null
            return value === null ? null : (
              <span key={name}>
                <i data-line={tone} /> {name} <b>{inWords(value)}</b>
              </span>
            )
          })}
        </div>
      )}
      <ul ref={legend} className="plot-legend">
        {lines.map(({ name, tone }) => (
          <li key={name}>
            <i data-line={tone} /> {name}
          </li>
        ))}
      </ul>
    </figure>
  )
}

interface PlotProps extends Required<Omit<ChartProps, 'label'>> {
  readonly place: RefObject<HTMLDivElement | null>
  readonly legend: RefObject<HTMLUListElement | null>
  /** If the shape changes, a new plot replaces the present one. Other values only change the present plot. */
  readonly shape: string
  readonly onPointed: (pointed: Pointed | null) => void
}

function usePlot(props: PlotProps): void {
  const { place, times, lines, kind, shape } = props
  const latest = useRef(props)
  latest.current = props
  const plot = useRef<UPlot | null>(null)
  const scheme = useComputedColorScheme('light')
  useEffect(() => {
    const element = place.current
    if (element === null) return undefined
    const made = new UPlot(optionsOf(latest, element.clientWidth), dataOf(latest.current), element)
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [place, shape, scheme])
  useEffect(() => plot.current?.setData(dataOf({ times, lines, kind })), [kind, lines, times])
}

/**
 * The library's columns: instants in seconds, then each line. Bars are sums, and the highest is drawn first.
 */
function dataOf({ times, lines, kind }: Pick<PlotProps, 'times' | 'lines' | 'kind'>): UPlot.AlignedData {
  const seconds = times.map(time => time / 1_000)
  if (kind === 'lines') return [seconds, ...lines.map(({ values }) => [...values])]
  const sums = lines.map((_, until) =>
    times.map((_time, at) =>
      lines.slice(0, until + 1).reduce((sum, { values }) => sum + (values[at] ?? 0), 0),
    ),
  )
  return [seconds, ...sums.reverse()]
}

function optionsOf(latest: RefObject<PlotProps>, width: number): UPlot.Options {
  const { lines, kind, legend } = latest.current
  // A canvas knows no custom properties, so the colours are read where the browser has resolved them.
  const colours = [...(legend.current?.querySelectorAll('i') ?? [])].map(mark => getComputedStyle(mark).color)
  const text = legend.current === null ? 'gray' : getComputedStyle(legend.current).color
  const inOrder = kind === 'bars' ? lines.map((_, at) => lines.length - 1 - at) : lines.map((_, at) => at)
  const paths = UPlot.paths.bars?.({ size: [BAR_SHARE, MAX_BAR_WIDTH] })
  const bars = paths === undefined ? {} : { paths }
  const grid = { stroke: `color-mix(in srgb, ${text} 18%, transparent)`, width: 1 }
  const axis = { stroke: text, font: '12px system-ui, sans-serif', ticks: { show: false } }
  return {
    width,
    height: HEIGHT,
    padding: [null, RIGHT_EDGE, null, null],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      ...(kind === 'bars' ? { x: { range: withWholeBars } } : {}),
      y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [
      {
        ...{ ...axis, grid: { show: false }, space: TIME_SPACE, size: TIMES_HEIGHT, incrs: STEPS_S },
        values: (_plot, splits) => splits.map(seconds => clockOf(new Date(seconds * 1_000))),
      },
      {
        ...{ ...axis, grid, size: AXIS_WIDTH, incrs: WHOLE_STEPS },
        values: (_plot, splits) => splits.map(value => latest.current.inWords(value)),
      },
    ],
    series: [
      {},
      ...inOrder.map(at => {
        const colour = colours[at] ?? text
        if (kind === 'bars') return { fill: colour, width: 0, points: { show: false }, ...bars }
        const fill = `color-mix(in srgb, ${colour} ${FILL_SHARE * 100}%, transparent)`
        return { stroke: colour, width: 2, points: { show: false }, ...(at === 0 ? { fill } : {}) }
      }),
    ],
    hooks: {
      setCursor: [
        ({ cursor: { idx, left = -1 } }) =>
          latest.current.onPointed(
            idx === null || idx === undefined || left < 0 ? null : { index: idx, left: left + AXIS_WIDTH },
          ),
      ],
    },
  }
}

/** A bar is drawn around its instant, so the axis needs half a bar more at either end. */
function withWholeBars({ data: [times] }: UPlot, first: number, last: number): UPlot.Range.MinMax {
  const half = ((times[1] ?? first + 1) - (times[0] ?? first)) / 2
  return [first - half, last + half]
}

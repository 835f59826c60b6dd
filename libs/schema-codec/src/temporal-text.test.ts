import { describe, expect, it } from 'vitest'
import {
  dateOfDays,
  daysOfDate,
  microsOfTime,
  MICROS_PER_DAY,
  momentOfTimestamp,
  timeOfMicros,
} from './temporal-text.ts'

describe('dates', () => {
  it.each([
    ['1970-01-01', 0],
    ['1969-12-31', -1],
    ['2000-02-29', 11_016],
    ['2024-02-29', 19_782],
    ['0000-01-01', -719_528],
    ['9999-12-31', 2_932_896],
    ['+010000-01-01', 2_932_897],
    ['-000043-03-15', -735_160],
    ['+5881580-07-10', 2_147_483_646],
    ['-5877641-06-25', -2_147_483_646],
  ])('%s is day %i', (text, days) => {
    expect(daysOfDate(text)).toBe(days)
    expect(dateOfDays(days)).toBe(text)
  })

  it('counts as JavaScript does over all of its years', () => {
    for (let days = -100_000_000; days <= 100_000_000; days += 9973) {
      const [expected = ''] = new Date(days * 86_400_000).toISOString().split('T')
      expect(dateOfDays(days)).toBe(expected)
      expect(daysOfDate(expected)).toBe(days)
    }
  })

  it("also reads databases' own forms of far years", () => {
    expect(daysOfDate('10000-01-01')).toBe(daysOfDate('+010000-01-01'))
    expect(daysOfDate('0044-03-15 (BC)')).toBe(daysOfDate('-000043-03-15'))
    expect(daysOfDate('0044-03-15 BC')).toBe(daysOfDate('-000043-03-15'))
  })

  it.each([
    '',
    '2023-02-29',
    '1900-02-29',
    '2024-00-10',
    '2024-13-01',
    '2024-04-31',
    '2024-1-01',
    '2024/01/01',
    ' 2024-01-01',
    '2024-01-01\n',
    '12345678-01-01',
    'infinity',
    '٢٠٢٤-٠١-٠١',
  ])('takes %j for no date', text => {
    expect(daysOfDate(text)).toBeUndefined()
  })
})

describe('times', () => {
  it.each([
    ['00:00:00', 0],
    ['12:34:56', 45_296_000_000],
    ['12:34:56.5', 45_296_500_000],
    ['12:34:56.000001', 45_296_000_001],
    ['23:59:59.999999', MICROS_PER_DAY - 1],
    ['24:00:00', MICROS_PER_DAY],
  ])('%s is microsecond %i', (text, micros) => {
    expect(microsOfTime(text)).toBe(micros)
    expect(timeOfMicros(micros)).toBe(text)
  })

  it.each([
    '',
    '12',
    '25:00:00',
    '24:00:01',
    '12:60:00',
    '12:00:60',
    '12:00:00.',
    '12:00:00.0000001',
    '12:00:00Z',
    '1:00:00',
    '12-00-00',
  ])('takes %j for no time', text => {
    expect(microsOfTime(text)).toBeUndefined()
  })

  it('drops zeros beyond microseconds, which mean nothing', () => {
    expect(microsOfTime('12:34:56.500000000')).toBe(45_296_500_000)
  })
})

describe('timestamps', () => {
  const moment = { days: 19_782, micros: 45_296_000_001 }

  it.each([
    '2024-02-29T12:34:56.000001',
    '2024-02-29T12:34:56.000001Z',
    '2024-02-29 12:34:56.000001',
    '2024-02-29 12:34:56.000001+00',
    '2024-02-29T12:34:56.000001+00:00',
  ])('reads %s', text => {
    expect(momentOfTimestamp(text)).toEqual(moment)
  })

  it('reads a date alone as its midnight, and years before Christ as databases print them', () => {
    expect(momentOfTimestamp('2024-02-29')).toEqual({ days: 19_782, micros: 0 })
    const ides = { days: -735_160, micros: 45_296_000_000 }
    expect(momentOfTimestamp('-000043-03-15T12:34:56')).toEqual(ides)
    expect(momentOfTimestamp('0044-03-15 (BC) 12:34:56')).toEqual(ides)
    expect(momentOfTimestamp('0044-03-15 12:34:56 BC')).toEqual(ides)
  })

  it.each([
    '',
    '2024-02-29T',
    '2024-02-30T00:00:00',
    '2024-02-29T25:00:00',
    '2024-02-29T12:34:56+01',
    '2024-02-29T12:34:56.0000001',
    '2024-02-29X12:34:56',
    'now',
  ])('takes %j for no timestamp', text => {
    expect(momentOfTimestamp(text)).toBeUndefined()
  })

  it('reads every number of digits of a second', () => {
    for (let digits = 1; digits <= 6; digits++) {
      const fraction = '123456'.slice(0, digits)
      const micros = 45_296_000_000 + Number(fraction.padEnd(6, '0'))
      expect(momentOfTimestamp(`2024-02-29T12:34:56.${fraction}Z`)).toEqual({ days: 19_782, micros })
    }
  })
})

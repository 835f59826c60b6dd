/** Compiles each kind of body, and names its Content-Type. A header may set another one. */
import type { BodySpec } from '@sluice/contracts/resources'
import { JsonText, NO_NUMBERS } from '@sluice/contracts/values'
import { compileFields } from './compile-fields.ts'
import { finishHeader } from './header-value.ts'
import type { ItemWriter } from '../liquid/frame.ts'
import { finishJson, saysNothing, strictJsonError } from './json-text.ts'
import { RawJson, jsonText } from '../values/print-value.ts'
import { printableLine } from '../values/printable.ts'
import { TemplateFault, placeOf } from '../liquid/template-fault.ts'
import {
  ContentFault,
  WRONG_PART,
  faultIn,
  type Part,
  type PartKind,
  type TriggerCompiler,
} from './trigger-compiler.ts'
import { XML_ESCAPING, xmlError } from './xml-text.ts'

export interface CompiledBody {
  readonly part: Part
  readonly contentType: string
}

const JSON_TYPE = 'application/json'

export function compileBody(spec: BodySpec, compiler: TriggerCompiler): CompiledBody {
  if ('json' in spec)
    return { part: compiler.part('body.json', spec.json, jsonKind(compiler)), contentType: JSON_TYPE }
  if ('xml' in spec)
    return { part: compiler.part('body.xml', spec.xml, XML_KIND), contentType: 'application/xml' }
  if ('form' in spec)
    return { part: compileForm(spec.form, compiler), contentType: 'application/x-www-form-urlencoded' }
  if ('text' in spec) return compileText(spec.text, compiler)
  if ('jsonColumn' in spec) {
    const item = compileColumn(spec.jsonColumn, compiler)
    return { part: compileItems(item, spec.wrap, compiler), contentType: JSON_TYPE }
  }
  const { write, mayOmit } = compileFields(spec.fields, compiler, spec.whenNull)
  const part = compileItems(write, spec.wrap, compiler)
  return { part: mayOmit ? neverSilent(part, compiler) : part, contentType: JSON_TYPE }
}

/** Rejects a batch if all fields of its rows are left out. */
function neverSilent(part: Part, { mustSaySomething }: TriggerCompiler): Part {
  if (!mustSaySomething) return part
  return {
    constant: part.constant,
    run: frame => {
      const text = part.run(frame)
      const error = nothingSaid('has no field left')
      if (saysNothing(JSON.parse(text))) throw faultIn('body.fields', error, null)
      return text
    },
  }
}

function jsonKind(compiler: TriggerCompiler): PartKind {
  const { mustSaySomething } = compiler
  return {
    escaping: null,
    isJson: true,
    finish: rendered => {
      const checked = finishJson(rendered)
      if (!checked.ok) throw new ContentFault(checked.error, checked.at)
      if (mustSaySomething && saysNothing(checked.value))
        throw nothingSaid(`is ${printableLine(checked.text.trim())}`)
      return checked.text
    },
  }
}

/**
 * The fault of a batch whose body says nothing of its rows. They would count as delivered if the API answered
 * 200.
 */
function nothingSaid(found: string): ContentFault {
  return new ContentFault(
    `the body ${found}, which says nothing of the rows; if that is meant, write allowEmpty: true beside the body`,
  )
}

const XML_KIND: PartKind = {
  escaping: XML_ESCAPING,
  finish: rendered => {
    const error = xmlError(rendered)
    if (error === null) return rendered
    const { line, column } = placeOf(rendered, error.at)
    throw new ContentFault(
      `the body is not well-formed XML at line ${line}, column ${column}: ${error.message}`,
      error.at,
    )
  },
}

function textKind({ mustSaySomething }: TriggerCompiler): PartKind {
  return {
    escaping: null,
    finish: rendered => {
      if (mustSaySomething && rendered.trim() === '') throw nothingSaid('is empty')
      return rendered
    },
  }
}

function compileText(
  spec: { readonly contentType: string; readonly template: string },
  compiler: TriggerCompiler,
): CompiledBody {
  const part = compiler.part('body.text.template', spec.template, textKind(compiler))
  try {
    return { part, contentType: finishHeader(spec.contentType) }
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error
    compiler.wrong({ field: 'body.text.contentType', message: error.message })
    return { part, contentType: '' }
  }
}

/** Forms are encoded as the URL standard says: UTF-8, spaces as `+`. */
const FORM_KIND: PartKind = {
  escaping: null,
  finish: rendered => {
    if (!rendered.isWellFormed()) throw new TemplateFault('the value has half a character (a lone surrogate)')
    return formEncoded(rendered)
  },
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** A name with a list is sent once for each value of the list. */
function compileForm(
  form: { readonly [name: string]: string | readonly string[] },
  compiler: TriggerCompiler,
): Part {
  const pairs = Object.entries(form).flatMap(([name, value]) => {
    const texts = typeof value === 'string' ? [value] : value
    return texts.map((text, index) => ({
      start: `${formEncoded(name.toWellFormed())}=`,
      value: compiler.part(
        `body.form.${name}${typeof value === 'string' ? '' : `[${index}]`}`,
        text,
        FORM_KIND,
      ),
    }))
  })
  return {
    constant: null,
    run: frame => {
      const values = pairs.map(({ value }) => value.run(frame))
      if (compiler.mustSaySomething && values.every(value => value === ''))
        throw faultIn('body.form', nothingSaid('has no value'), null)
      return pairs.map(({ start }, index) => `${start}${values[index] ?? ''}`).join('&')
    },
  }
}

/** Writes the JSON of a column of the row, unchanged. */
function compileColumn(column: string, compiler: TriggerCompiler): ItemWriter {
  const field = 'body.jsonColumn'
  compiler.uses(column, field)
  return frame => {
    const { row } = frame.single
    const value = Object.hasOwn(row, column) ? row[column] : undefined
    if (value === undefined || value === null)
      throw faultIn(
        field,
        new ContentFault(`the column ${column} is ${value === null ? 'null' : 'not there'}`),
        null,
      )
    const text = value instanceof JsonText && !NO_NUMBERS.has(value.text) ? value.text : value
    if (typeof text !== 'string') return jsonText(text, frame)
    const error = strictJsonError(text, `the column ${column}`)
    if (error !== null) throw faultIn(field, new ContentFault(error), null)
    return text
  }
}

/** Writes the item of a row, or the list of items of a batch, into the envelope. */
function compileItems(item: ItemWriter, wrap: string | undefined, compiler: TriggerCompiler): Part {
  const write = compiler.batched ? listOf(item) : item
  if (wrap === undefined) return { constant: null, run: write }
  const sees = { batched: compiler.batched, wraps: true }
  const envelope = compiler.part('body.wrap', wrap, jsonKind(compiler), sees)
  if (envelope.constant !== null && envelope !== WRONG_PART)
    compiler.wrong({
      field: 'body.wrap',
      message: 'the envelope has no place for the rows; write {{ items }} there',
    })
  return {
    constant: null,
    run: frame => {
      const items = write(frame)
      frame.focus(0)
      frame.items = new RawJson(items)
      return envelope.run(frame)
    },
  }
}

function listOf(item: ItemWriter): ItemWriter {
  return frame => {
    let text = '['
    for (let index = 0; index < frame.templateRows.length; index++) {
      frame.focus(index)
      text += index === 0 ? item(frame) : `,${item(frame)}`
    }
    return text + ']'
  }
}

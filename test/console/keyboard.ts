/** The hands of somebody who has a keyboard and no mouse. */
import type { Locator, Page } from 'playwright-core'
import { expect } from 'vitest'

/** More stops than any page has on the way to something. */
const MAX_STOPS = 150
const SOON = { timeout: 2_000, interval: 20, message: 'a stop of Tab that cannot be seen' }

export class Keyboard {
  readonly #page: Page

  private constructor(page: Page) {
    this.#page = page
  }

  /** Before the page is first opened: from then on it counts what comes of a mouse. */
  static async of(page: Page): Promise<Keyboard> {
    await page.addInitScript(`
      for (const kind of ['pointerdown', 'mousedown', 'mousemove', 'wheel', 'touchstart'])
        addEventListener(kind, () => sessionStorage.setItem('mouse', kind), { capture: true })`)
    return new Keyboard(page)
  }

  /** The kind of the last event of a mouse; null: there was none. */
  async mouse(): Promise<unknown> {
    return await this.#page.evaluate(`sessionStorage.getItem('mouse')`)
  }

  /** Goes there by Tab. Each stop on the way can be seen, with the ring that shows the focus. */
  async reach(target: Locator): Promise<void> {
    await target.waitFor()
    for (let stop = 0; stop < MAX_STOPS; stop += 1) {
      if (await hasFocus(target)) return
      await this.#page.keyboard.press('Tab')
      // An editor draws its ring a moment later.
      await expect.poll(() => this.#page.evaluate(SEEN), SOON).toBeNull()
    }
    expect.fail(`Tab does not lead to ${String(target)}`)
  }

  async press(target: Locator, key = 'Enter'): Promise<void> {
    await this.reach(target)
    await this.#page.keyboard.press(key)
  }

  /** Writes over what stands in a field or an editor. */
  async write(target: Locator, text: string): Promise<void> {
    await this.reach(target)
    await this.#page.keyboard.press('ControlOrMeta+a')
    // Typed keys would have brackets closed, and words completed.
    await this.#page.keyboard.insertText(text)
  }

  /** Finds a choice by its first letters, as everywhere. */
  async choose(target: Locator, letters: string): Promise<void> {
    await this.reach(target)
    await this.#page.keyboard.type(letters)
  }

  /** Finds a page, or something to do, by letters. */
  async find(letters: string): Promise<void> {
    await this.#page.keyboard.press('k')
    await this.#page.getByRole('combobox', { name: /^Find/ }).waitFor()
    await this.#page.keyboard.type(letters)
    await this.#page.getByRole('listbox', { name: 'Choices' }).getByRole('option').first().waitFor()
    await this.#page.keyboard.press('Enter')
  }
}

/** True if it has the focus, in the shadow tree of an editor, too. */
export async function hasFocus(target: Locator): Promise<boolean> {
  return (await target.and(target.page().locator(':focus')).count()) > 0
}

/** Null, or what is wrong with the place of the focus: outside of the window, covered, or without a ring. */
const SEEN = `(() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  if (at === null || at === document.body) return null
  // A radio button that is not drawn is seen by its label.
  if (getComputedStyle(at).opacity === '0') at = at.labels?.[0] ?? at
  const name = at.outerHTML.slice(0, 120)
  const box = at.getBoundingClientRect()
  const host = at.getRootNode().host
  const ringed = [at, at.closest('.cm-editor')].some(each => {
    if (each === null) return false
    const { outlineStyle, outlineWidth } = getComputedStyle(each)
    return outlineStyle !== 'none' && parseFloat(outlineWidth) > 0
  })
  if (!ringed) return 'no ring: ' + name
  const places = [0.1, 0.5, 0.9].flatMap(x => [0.1, 0.5, 0.9].map(y => [box.x + box.width * x, box.y + box.height * y]))
  const shown = places.some(([x, y]) => {
    const top = document.elementFromPoint(x, y)
    return top !== null && (top === host || at.contains(top) || top.contains(at))
  })
  return shown ? null : 'covered, or beyond the edge: ' + name
})()`

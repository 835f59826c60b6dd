/** Buttons, and links that look like them. `filled` is the action that a page is for, `outline` destroys. */
import { Button as LibraryButton, type ButtonProps } from '@mantine/core'
import { createLink } from '@tanstack/react-router'
import type { ComponentPropsWithRef, ReactElement } from 'react'

export { Button } from '@mantine/core'

function Anchor(props: ButtonProps & Omit<ComponentPropsWithRef<'a'>, keyof ButtonProps>): ReactElement {
  return <LibraryButton component="a" {...props} />
}

/** A link to a page of the console. */
export const ButtonLink = createLink(Anchor)

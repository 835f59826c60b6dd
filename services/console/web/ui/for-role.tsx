/** Links and buttons for what only some people may do. */
import type { ComponentProps, ReactElement, ReactNode } from 'react'
import { useMay, whyOff, type Role } from '../api/session.ts'

interface ForRoleProps {
  readonly role: Role
  /** The text of the link, for the button that replaces it. */
  readonly label: string
  readonly className?: string
  readonly children: ReactNode
}

/** Shows the link to people with the role, and a button that is off, with the reason, to others. */
export function ForRole({ role, label, className, children }: ForRoleProps): ReactElement {
  const may = useMay(role)
  if (may) return <>{children}</>
  return (
    <button type="button" className={className} disabled title={whyOff(role)}>
      {label}
    </button>
  )
}

interface RoleButtonProps extends ComponentProps<'button'> {
  readonly role: Role
}

/** A button that is off, with the reason, for people without the role. */
export function RoleButton({ role, disabled = false, ...props }: RoleButtonProps): ReactElement {
  const may = useMay(role)
  return (
    <button type="button" {...props} disabled={disabled || !may} title={may ? undefined : whyOff(role)} />
  )
}

/** The anchor of a heading, as GitHub makes it. `taken` has those of the page so far, and takes it. */
export function anchorOf(heading: string, taken: Set<string>): string

/** What a name may be made of, as people read it. */
export const NAME_HINT = 'Lower case letters, digits and -'

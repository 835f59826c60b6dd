/** A diagram, drawn by the browser. Until then, and without scripts, the page shows its source. */
import { useData } from 'vitepress'
import { defineComponent, h, onMounted, ref, useId, watch } from 'vue'
import address from '@mermaid-js/tiny/dist/mermaid.tiny.js?url'

/** It can be wider than a small screen, and is then moved by keys, too. */
const REGION = { class: 'diagram', role: 'group', 'aria-label': 'Diagram', tabindex: 0 }

/** Mermaid, once a page of this visit has a diagram. */
let mermaid = null

export const MermaidDiagram = defineComponent({
  props: { source: { type: String, required: true } },
  setup(props) {
    const { isDark } = useData()
    const id = useId()
    const drawing = ref('')
    const draw = async () => {
      const { initialize, render } = await (mermaid ??= loaded())
      initialize({
        startOnLoad: false,
        theme: isDark.value ? 'dark' : 'neutral',
        ...(isDark.value ? { themeVariables: { edgeLabelBackground: '#1b1b1f' } } : {}),
        ...Object.fromEntries(['flowchart', 'sequence', 'state'].map(kind => [kind, { useMaxWidth: false }])),
      })
      drawing.value = (await render(`diagram-${id}`, props.source)).svg
    }
    onMounted(() => watch([isDark, () => props.source], draw, { immediate: true }))
    return () =>
      drawing.value === ''
        ? h('pre', REGION, props.source)
        : h('div', { ...REGION, innerHTML: drawing.value })
  },
})

function loaded() {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement('script'), { src: address })
    script.onload = () => resolve(globalThis.mermaid)
    script.onerror = () => reject(new Error(`${address} could not be loaded`))
    document.head.append(script)
  })
}

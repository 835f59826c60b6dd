import { mutatedDocuments } from '../test/mutated-documents.ts'

mutatedDocuments(20_000)

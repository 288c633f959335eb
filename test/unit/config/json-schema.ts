import type { Shape } from '../../../src/config/shapes.ts';

/** The JSON Schema of a shape, in the draft that editors know best. */
export function toJsonSchema(shape: Shape): object {
  const { description } = shape;
  switch (shape.kind) {
    case 'flag':
      return { description, type: 'boolean' };
    case 'choice':
      return { description, enum: shape.values };
    case 'number':
      return { description, type: 'integer', minimum: shape.least, maximum: shape.most };
    case 'text':
      return { description, type: 'string', minLength: 1, ...(shape.form && { pattern: shape.form.pattern }) };
    case 'list':
      return { description, type: 'array', items: toJsonSchema(shape.of) };
    case 'object':
      return {
        description,
        type: 'object',
        properties: Object.fromEntries(
          Object.entries(shape.members).map(([name, member]) => [name, toJsonSchema(member)]),
        ),
        ...(shape.required && { required: shape.required }),
        additionalProperties: false,
      };
  }
}

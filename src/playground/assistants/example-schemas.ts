/** Functions and formats to begin with: what is here can be called and filled in as it stands. */
export const EXAMPLE_FUNCTION = {
  name: 'get_weather',
  description: 'The weather at a place, now.',
  parameters: {
    type: 'object',
    properties: {
      city: { type: 'string', description: 'Name of the city, like Tromsø' },
      unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
    },
    required: ['city', 'unit'],
    additionalProperties: false,
  },
};

export const EXAMPLE_FORMAT = {
  name: 'summary',
  schema: {
    type: 'object',
    properties: {
      title: { type: 'string' },
      points: { type: 'array', items: { type: 'string' } },
    },
    required: ['title', 'points'],
    additionalProperties: false,
  },
};

/** What is modelled. */
export const MODEL = {
  host: 'portcullis', linux: '6.1.0', linuxVersion: '#1 SMP', major: 4, minor: 17, extra: '.5',
} as const;

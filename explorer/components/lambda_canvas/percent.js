// A share in whole per cent, or with one decimal where it is below ten: 12 %, 3.4 %. In Python, bars.py does the same.
export const percentOf = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

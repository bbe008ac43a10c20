import { describe } from 'vitest';
import { bubblewrapHere } from '../sandbox/boxes.ts';
import { describeCodeInterpreter } from './code-interpreter-suite.ts';

const why = await bubblewrapHere();

describe.skipIf(why !== null)(why ? `with bubblewrap (skipped: ${why})` : 'with the full box', () => {
  describeCodeInterpreter({
    driver: 'bubblewrap',
    draws: true,
    code: `
import pandas as pd
import matplotlib.pyplot as plt
sales = pd.read_csv('/mnt/data/sales.csv', parse_dates=['date'])
monthly = sales.groupby(sales['date'].dt.strftime('%Y-%m'))['amount'].sum()
monthly.plot.bar(title='Sales')
plt.tight_layout()
monthly.to_frame().to_excel('/mnt/data/monthly.xlsx')
monthly
`.trim(),
  });
});

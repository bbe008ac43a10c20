import { Upload } from 'lucide-react';
import { useRef } from 'react';
import { Button } from '../parts/button.tsx';

interface FileInputButtonProps {
  words: string;
  give(files: FileList): void;
  kind?: 'main' | 'plain';
  small?: boolean;
  disabled?: boolean;
}

/** A button that asks for files of this machine. */
export function FileInputButton({ words, give, kind = 'plain', small = false, disabled = false }: FileInputButtonProps) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label={words}
        onChange={({ target }) => {
          if (target.files) give(target.files);
          target.value = '';
        }}
      />
      <Button kind={kind} small={small} disabled={disabled} icon={<Upload size={small ? 14 : 16} />} onClick={() => picker.current?.click()}>
        {words}
      </Button>
    </>
  );
}

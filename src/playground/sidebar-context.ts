import { createContext, useContext } from 'react';

/** Opens the sidebar where it is not there all the time; null where it is. */
export const SidebarContext = createContext<(() => void) | null>(null);

export const useSidebar = (): (() => void) | null => useContext(SidebarContext);

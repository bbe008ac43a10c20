/**
 * Numbers of system calls, from the kernel's headers (asm/unistd_64.h, asm-generic/unistd.h). What a box may not call: it
 * makes namespaces or mounts, looks into or steers other processes, reaches parts of the kernel that untrusted code has no
 * use for, or sets what belongs to the machine.
 */
export type Architecture = 'x64' | 'arm64';

/** Of the lists below; every number up to here has been judged. */
export const HIGHEST_KNOWN = 462;

// prettier-ignore
export const FORBIDDEN = [
  'acct', 'add_key', 'adjtimex', 'bpf', 'chroot', 'clock_adjtime', 'clock_settime', 'create_module',
  'delete_module', 'fanotify_init', 'fanotify_mark', 'finit_module', 'fsconfig', 'fsmount', 'fsopen', 'fspick',
  'get_kernel_syms', 'get_mempolicy', 'init_module', 'io_uring_enter', 'io_uring_register', 'io_uring_setup',
  'ioperm', 'iopl', 'kcmp', 'kexec_file_load', 'kexec_load', 'keyctl', 'listmount', 'lookup_dcookie',
  'lsm_get_self_attr', 'lsm_list_modules', 'lsm_set_self_attr', 'mbind', 'memfd_secret', 'migrate_pages',
  'mknod', 'mknodat', 'modify_ldt', 'mount', 'mount_setattr', 'move_mount', 'move_pages', 'name_to_handle_at',
  'nfsservctl', 'open_by_handle_at', 'open_tree', 'perf_event_open', 'personality', 'pidfd_getfd', 'pivot_root',
  'process_madvise', 'process_mrelease', 'process_vm_readv', 'process_vm_writev', 'ptrace', 'query_module',
  'quotactl', 'quotactl_fd', 'reboot', 'request_key', 'set_mempolicy', 'set_mempolicy_home_node',
  'setdomainname', 'sethostname', 'setns', 'settimeofday', 'statmount', 'swapoff', 'swapon', '_sysctl', 'sysfs',
  'syslog', 'umount2', 'unshare', 'uselib', 'userfaultfd', 'ustat', 'vhangup', 'vmsplice',
] as const;

type Checked = 'clone' | 'clone3' | 'ioctl' | 'socket';
type Numbers = Readonly<Record<Checked, number> & Partial<Record<(typeof FORBIDDEN)[number], number>>>;

export interface ArchitectureFacts {
  /** AUDIT_ARCH_…: what the kernel says that a call was made as. */
  token: number;
  /** Whether there is a second set of numbers for 32-bit pointers. */
  x32: boolean;
  numbers: Numbers;
}

// prettier-ignore
export const ARCHITECTURES: Readonly<Record<Architecture, ArchitectureFacts>> = {
  x64: {
    token: 0xc000003e,
    x32: true,
    numbers: {
      clone: 56, clone3: 435, ioctl: 16, socket: 41, acct: 163, add_key: 248, adjtimex: 159, bpf: 321, chroot:
      161, clock_adjtime: 305, clock_settime: 227, create_module: 174, delete_module: 176, fanotify_init: 300,
      fanotify_mark: 301, finit_module: 313, fsconfig: 431, fsmount: 432, fsopen: 430, fspick: 433,
      get_kernel_syms: 177, get_mempolicy: 239, init_module: 175, io_uring_enter: 426, io_uring_register: 427,
      io_uring_setup: 425, ioperm: 173, iopl: 172, kcmp: 312, kexec_file_load: 320, kexec_load: 246, keyctl:
      250, listmount: 458, lookup_dcookie: 212, lsm_get_self_attr: 459, lsm_list_modules: 461,
      lsm_set_self_attr: 460, mbind: 237, memfd_secret: 447, migrate_pages: 256, mknod: 133, mknodat: 259,
      modify_ldt: 154, mount: 165, mount_setattr: 442, move_mount: 429, move_pages: 279, name_to_handle_at:
      303, nfsservctl: 180, open_by_handle_at: 304, open_tree: 428, perf_event_open: 298, personality: 135,
      pidfd_getfd: 438, pivot_root: 155, process_madvise: 440, process_mrelease: 448, process_vm_readv: 310,
      process_vm_writev: 311, ptrace: 101, query_module: 178, quotactl: 179, quotactl_fd: 443, reboot: 169,
      request_key: 249, set_mempolicy: 238, set_mempolicy_home_node: 450, setdomainname: 171, sethostname:
      170, setns: 308, settimeofday: 164, statmount: 457, swapoff: 168, swapon: 167, _sysctl: 156, sysfs: 139,
      syslog: 103, umount2: 166, unshare: 272, uselib: 134, userfaultfd: 323, ustat: 136, vhangup: 153,
      vmsplice: 278,
    },
  },
  arm64: {
    token: 0xc00000b7,
    x32: false,
    numbers: {
      clone: 220, clone3: 435, ioctl: 29, socket: 198, acct: 89, add_key: 217, adjtimex: 171, bpf: 280,
      chroot: 51, clock_adjtime: 266, clock_settime: 112, delete_module: 106, fanotify_init: 262,
      fanotify_mark: 263, finit_module: 273, fsconfig: 431, fsmount: 432, fsopen: 430, fspick: 433,
      get_mempolicy: 236, init_module: 105, io_uring_enter: 426, io_uring_register: 427, io_uring_setup: 425,
      kcmp: 272, kexec_file_load: 294, kexec_load: 104, keyctl: 219, listmount: 458, lookup_dcookie: 18,
      lsm_get_self_attr: 459, lsm_list_modules: 461, lsm_set_self_attr: 460, mbind: 235, memfd_secret: 447,
      migrate_pages: 238, mknodat: 33, mount: 40, mount_setattr: 442, move_mount: 429, move_pages: 239,
      name_to_handle_at: 264, nfsservctl: 42, open_by_handle_at: 265, open_tree: 428, perf_event_open: 241,
      personality: 92, pidfd_getfd: 438, pivot_root: 41, process_madvise: 440, process_mrelease: 448,
      process_vm_readv: 270, process_vm_writev: 271, ptrace: 117, quotactl: 60, quotactl_fd: 443, reboot: 142,
      request_key: 218, set_mempolicy: 237, set_mempolicy_home_node: 450, setdomainname: 162, sethostname:
      161, setns: 268, settimeofday: 170, statmount: 457, swapoff: 225, swapon: 224, syslog: 116, umount2: 39,
      unshare: 97, userfaultfd: 282, vhangup: 58, vmsplice: 75,
    },
  },
};

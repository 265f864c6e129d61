//! Numbers of the virtio 1.2 specification, with the section that defines them.

/// Device types (section 5).
pub mod device {
    /// No device behind this window (section 4.2.2).
    pub const ABSENT: u32 = 0;
    /// Block device (section 5.2).
    pub const BLOCK: u32 = 2;
    /// Console (section 5.3).
    pub const CONSOLE: u32 = 3;
    /// Entropy source (section 5.4).
    pub const ENTROPY: u32 = 4;
}

/// Register offsets of the mmio transport, in bytes (section 4.2.2).
pub mod register {
    /// Reads [`MAGIC_VALUE`](super::MAGIC_VALUE).
    pub const MAGIC: usize = 0x000;
    /// Reads [`VERSION_MMIO`](super::VERSION_MMIO); 1 is the legacy interface.
    pub const VERSION: usize = 0x004;
    /// Device type.
    pub const DEVICE_ID: usize = 0x008;
    /// Vendor.
    pub const VENDOR_ID: usize = 0x00c;
    /// The 32 offered feature bits that `DEVICE_FEATURES_SEL` selects.
    pub const DEVICE_FEATURES: usize = 0x010;
    /// 0: bits 0 to 31, 1: bits 32 to 63.
    pub const DEVICE_FEATURES_SEL: usize = 0x014;
    /// The 32 accepted feature bits that `DRIVER_FEATURES_SEL` selects.
    pub const DRIVER_FEATURES: usize = 0x020;
    /// 0: bits 0 to 31, 1: bits 32 to 63.
    pub const DRIVER_FEATURES_SEL: usize = 0x024;
    /// The queue that the `QUEUE_*` registers below are about.
    pub const QUEUE_SEL: usize = 0x030;
    /// Largest size of the queue; 0: there is none.
    pub const QUEUE_NUM_MAX: usize = 0x034;
    /// Size of the queue that the driver uses.
    pub const QUEUE_NUM: usize = 0x038;
    /// 1: the queue is in use.
    pub const QUEUE_READY: usize = 0x044;
    /// A write of a queue's index tells the device to look at it.
    pub const QUEUE_NOTIFY: usize = 0x050;
    /// Why the device interrupts; bits of [`interrupt`](super::interrupt).
    pub const INTERRUPT_STATUS: usize = 0x060;
    /// The bits that have been dealt with.
    pub const INTERRUPT_ACK: usize = 0x064;
    /// Device status; bits of [`status`](super::status).
    pub const STATUS: usize = 0x070;
    /// Physical address of the descriptor area, low half; the high half is 4 bytes on.
    pub const QUEUE_DESC: usize = 0x080;
    /// Physical address of the driver area (available ring), low half.
    pub const QUEUE_DRIVER: usize = 0x090;
    /// Physical address of the device area (used ring), low half.
    pub const QUEUE_DEVICE: usize = 0x0a0;
    /// Changes whenever the configuration space may have changed.
    pub const CONFIG_GENERATION: usize = 0x0fc;
    /// The device type's own configuration space.
    pub const CONFIG: usize = 0x100;
}

/// `"virt"`, little-endian (section 4.2.2).
pub const MAGIC_VALUE: u32 = 0x7472_6976;
/// The version of the mmio transport that this library drives (section 4.2.2).
pub const VERSION_MMIO: u32 = 2;
/// The legacy version of the mmio transport (section 4.2.4).
pub const VERSION_MMIO_LEGACY: u32 = 1;

/// The PCI transport (section 4.1).
pub mod pci {
    /// Vendor of all virtio functions (section 4.1.2).
    pub const VENDOR: u16 = 0x1af4;
    /// A vector register holds this if the device has no vector for it (section 4.1.5.1.2).
    pub const NO_VECTOR: u16 = 0xffff;

    /// Offsets in the common configuration structure, in bytes (section 4.1.4.3).
    pub mod common {
        /// u32: 0: feature bits 0 to 31 are offered in `DEVICE_FEATURE`, 1: bits 32 to 63.
        pub const DEVICE_FEATURE_SELECT: usize = 0x00;
        /// u32: the offered bits.
        pub const DEVICE_FEATURE: usize = 0x04;
        /// u32: as `DEVICE_FEATURE_SELECT`, for `DRIVER_FEATURE`.
        pub const DRIVER_FEATURE_SELECT: usize = 0x08;
        /// u32: the accepted bits.
        pub const DRIVER_FEATURE: usize = 0x0c;
        /// u16: MSI-X vector for changes of configuration.
        pub const CONFIG_MSIX_VECTOR: usize = 0x10;
        /// u16: most queues.
        pub const NUM_QUEUES: usize = 0x12;
        /// u8: device status.
        pub const DEVICE_STATUS: usize = 0x14;
        /// u8: changes with the configuration.
        pub const CONFIG_GENERATION: usize = 0x15;
        /// u16: the queue that the fields below are about.
        pub const QUEUE_SELECT: usize = 0x16;
        /// u16: reads the largest size (0: there is no such queue), takes the one used.
        pub const QUEUE_SIZE: usize = 0x18;
        /// u16: MSI-X vector of the queue.
        pub const QUEUE_MSIX_VECTOR: usize = 0x1a;
        /// u16: 1: the queue is in use.
        pub const QUEUE_ENABLE: usize = 0x1c;
        /// u16: where the queue is notified, in units of the notification structure's multiplier.
        pub const QUEUE_NOTIFY_OFF: usize = 0x1e;
        /// u64: physical address of the descriptor area.
        pub const QUEUE_DESC: usize = 0x20;
        /// u64: physical address of the driver area (available ring).
        pub const QUEUE_DRIVER: usize = 0x28;
        /// u64: physical address of the device area (used ring).
        pub const QUEUE_DEVICE: usize = 0x30;
        /// Bytes of all of these.
        pub const BYTES: usize = 0x38;
    }
}

/// Device status bits (section 2.1).
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// The guest knows how to drive it.
    pub const DRIVER: u32 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u32 = 4;
    /// Both sides agreed on the features.
    pub const FEATURES_OK: u32 = 8;
    /// The device met an error that only a reset ends.
    pub const NEEDS_RESET: u32 = 64;
    /// The driver has given the device up.
    pub const FAILED: u32 = 128;
}

/// Interrupt status bits (section 4.2.2).
pub mod interrupt {
    /// The device used a buffer.
    pub const USED_BUFFER: u32 = 1;
    /// The configuration space changed.
    pub const CONFIGURATION: u32 = 2;
}

/// Features of every device type (section 6).
pub mod feature {
    use crate::Features;

    /// Indirect descriptor tables.
    pub const INDIRECT_DESC: Features = Features::bit(28);
    /// `used_event` and `avail_event` say when to notify.
    pub const EVENT_IDX: Features = Features::bit(29);
    /// The device follows the specification (it is not a legacy device).
    pub const VERSION_1: Features = Features::bit(32);
}

/// The split ring (section 2.7).
pub mod ring {
    /// Bytes of a descriptor (section 2.7.5).
    pub const DESCRIPTOR_BYTES: usize = 16;
    /// Bytes of an element of the used ring (section 2.7.8).
    pub const USED_ELEMENT_BYTES: usize = 8;
    /// Descriptor flag: `next` is valid.
    pub const DESC_NEXT: u16 = 1;
    /// Descriptor flag: the device writes the buffer (else it reads it).
    pub const DESC_WRITE: u16 = 2;
    /// Descriptor flag: the buffer is a table of descriptors (section 2.7.5.3).
    pub const DESC_INDIRECT: u16 = 4;
    /// Available ring flag: no interrupt is wanted (section 2.7.7).
    pub const AVAIL_NO_INTERRUPT: u16 = 1;
    /// Used ring flag: no notification is wanted (section 2.7.10).
    pub const USED_NO_NOTIFY: u16 = 1;
    /// Largest queue size (section 2.7).
    pub const MAX_SIZE: u16 = 1 << 15;
}

/// The block device (section 5.2).
pub mod blk {
    /// Feature bits (section 5.2.3).
    pub mod feature {
        use crate::Features;

        /// `size_max` is valid.
        pub const SIZE_MAX: Features = Features::bit(1);
        /// `seg_max` is valid.
        pub const SEG_MAX: Features = Features::bit(2);
        /// The device is read-only.
        pub const RO: Features = Features::bit(5);
        /// `blk_size` is valid.
        pub const BLK_SIZE: Features = Features::bit(6);
        /// Flush requests.
        pub const FLUSH: Features = Features::bit(9);
        /// The topology fields are valid.
        pub const TOPOLOGY: Features = Features::bit(10);
        /// Discard requests.
        pub const DISCARD: Features = Features::bit(13);
        /// Write-zeroes requests.
        pub const WRITE_ZEROES: Features = Features::bit(14);
    }

    /// Offsets in the configuration space, in bytes (section 5.2.4).
    pub mod config {
        /// u64: sectors of 512 bytes.
        pub const CAPACITY: usize = 0;
        /// u32: most bytes of one segment.
        pub const SIZE_MAX: usize = 8;
        /// u32: most segments of one request.
        pub const SEG_MAX: usize = 12;
        /// u32: bytes of a logical block.
        pub const BLK_SIZE: usize = 20;
        /// u8: log2 of the logical blocks in a physical block.
        pub const PHYSICAL_BLOCK_EXP: usize = 24;
        /// u8: logical block that is aligned to a physical one.
        pub const ALIGNMENT_OFFSET: usize = 25;
        /// u16: smallest I/O that performs well, in logical blocks.
        pub const MIN_IO_SIZE: usize = 26;
        /// u32: best sustained I/O size, in logical blocks.
        pub const OPT_IO_SIZE: usize = 28;
        /// u32: most sectors of a discard segment.
        pub const MAX_DISCARD_SECTORS: usize = 36;
        /// u32: discards are best aligned to this many sectors.
        pub const DISCARD_SECTOR_ALIGNMENT: usize = 44;
        /// u32: most sectors of a write-zeroes segment.
        pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
        /// u8: 1 if a write-zeroes request may unmap.
        pub const WRITE_ZEROES_MAY_UNMAP: usize = 56;
    }

    /// Request types (section 5.2.6).
    pub mod request {
        /// Read sectors.
        pub const IN: u32 = 0;
        /// Write sectors.
        pub const OUT: u32 = 1;
        /// Make completed writes durable.
        pub const FLUSH: u32 = 4;
        /// Read the device's identity string.
        pub const GET_ID: u32 = 8;
        /// Forget sectors.
        pub const DISCARD: u32 = 11;
        /// Zero sectors.
        pub const WRITE_ZEROES: u32 = 13;
        /// Flag of a write-zeroes segment: the sectors may be unmapped.
        pub const UNMAP: u32 = 1;
    }

    /// Values of a request's status byte (section 5.2.6).
    pub mod status {
        /// Done.
        pub const OK: u8 = 0;
        /// Device or driver error.
        pub const IOERR: u8 = 1;
        /// The device does not know the request.
        pub const UNSUPP: u8 = 2;
    }

    /// Bytes of a sector, whatever the logical block size (section 5.2.4).
    pub const SECTOR_BYTES: u32 = 512;
    /// Bytes of a request's header.
    pub const HEADER_BYTES: u32 = 16;
    /// Bytes of a discard or write-zeroes segment.
    pub const RANGE_BYTES: u32 = 16;
    /// Bytes of the identity string, padded with NUL (section 5.2.6).
    pub const ID_BYTES: u32 = 20;
    /// The request queue (section 5.2.2).
    pub const REQUEST_QUEUE: u16 = 0;
}

/// The console (section 5.3).
pub mod console {
    /// Feature bits (section 5.3.3).
    pub mod feature {
        use crate::Features;

        /// `cols` and `rows` are valid.
        pub const SIZE: Features = Features::bit(0);
    }

    /// Offsets in the configuration space, in bytes (section 5.3.4).
    pub mod config {
        /// u16: columns.
        pub const COLUMNS: usize = 0;
        /// u16: rows.
        pub const ROWS: usize = 2;
    }

    /// Input of port 0 (section 5.3.2).
    pub const RECEIVE_QUEUE: u16 = 0;
    /// Output of port 0.
    pub const TRANSMIT_QUEUE: u16 = 1;
}

/// The entropy source (section 5.4).
pub mod rng {
    /// The only queue (section 5.4.2).
    pub const REQUEST_QUEUE: u16 = 0;
}

using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>What a new VHD is to be.</summary>
public sealed record VhdCreateOptions
{
    /// <summary>What the guest sees, in bytes: a multiple of 512 from 512 bytes to 2,040 GiB, used exactly as given. Azure
    /// takes only fixed disks of whole MiB.</summary>
    public required long Size { get; init; }

    /// <summary>Reserve every byte at creation. Not for a disk with a parent.</summary>
    public bool Fixed { get; init; }

    /// <summary>Bytes per block: a power of two from 512 KiB to 256 MiB. Programs that are not ours may know only 2 MiB (and
    /// 512 KiB).</summary>
    public int BlockSize { get; init; } = VhdFormat.DefaultBlockSize;

    /// <summary>Makes a differencing disk over this parent. Its relative, absolute and URL paths become locators; its name, or
    /// else the last part of its first path, becomes the parent's name.</summary>
    public ParentLink? Parent { get; init; }

    /// <summary>Identifies the disk to its children; a new one when null.</summary>
    public Guid? DiskId { get; init; }

    /// <summary>The clock of the time stamp.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Makes the identifier; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}

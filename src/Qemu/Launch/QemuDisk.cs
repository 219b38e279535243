namespace Godwit.Qemu.Launch;

/// <summary>A disk of a VM as QEMU sees it: an export of the VM's worker.</summary>
/// <param name="Name">Name within the VM, also of the block node: a letter, then letters, digits, '-', '_' or '.', at most 24.</param>
/// <param name="Socket">The worker's unix socket.</param>
/// <param name="Export">Name of the export.</param>
public sealed record QemuDisk(string Name, string Socket, string Export)
{
    /// <summary>What it is attached to.</summary>
    public QemuPlace Place { get; init; }

    /// <summary>Shown to the guest, at most 20 bytes; lets it tell disks apart (/dev/disk/by-id in Linux).</summary>
    public string? Serial { get; init; }

    /// <summary>The guest sees a write cache and flushes it. False where every write is durable when it is done.</summary>
    public bool WriteCache { get; init; } = true;

    /// <summary>How long requests are held back while the worker is away, in whole seconds. Then the VM is paused
    /// (never an error in the guest) and tried again.</summary>
    public int ReconnectSeconds { get; init; } = 30;

    /// <summary>How long QEMU waits for the worker when it starts, in whole seconds.</summary>
    public int OpenSeconds { get; init; } = 15;
}

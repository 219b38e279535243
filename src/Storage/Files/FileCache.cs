namespace Godwit.Storage.Files;

/// <summary>What a file's writes pass through, and when they count as done; QEMU's cache modes.</summary>
public enum FileCache
{
    /// <summary>Through the page cache: a write is done when it is there, and survives a power cut after the next flush.</summary>
    Writeback = 0,

    /// <summary>Around the page cache (O_DIRECT), reads too: a write is done when the device has taken it, and survives a power cut after the next
    /// flush, which empties the device's own cache.</summary>
    None = 1,
}

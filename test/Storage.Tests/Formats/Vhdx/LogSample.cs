using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Images with a log made by hand, entry by entry.</summary>
internal static class LogSample
{
    public const int Page = VhdxFormat.PageSize;
    public const int LogLength = MiB;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>The name of the log.</summary>
    public static Guid Log { get; } = new("11111111-2222-3333-4444-555555555555");

    /// <summary>A page behind the structures of the image, filled with one byte.</summary>
    public static LogChange Change(byte fill, int page = 0) => new((6 * MiB) + (page * Page), fill);

    public static LogEntry Entry(int sector, ulong sequence, int tail, params LogChange[] changes) =>
        new(sector, sequence, tail, Log, 4 * MiB, 7 * MiB, changes);

    /// <summary>An empty disk of 8 MiB whose header names the log that holds these entries.</summary>
    public static async Task<MemoryFile> WithLogAsync(params LogEntry[] entries)
    {
        var file = await CreateAsync();
        await file.SetLengthAsync(8 * MiB, None);
        var header = VhdxHeader.TryParse(await PeekAsync(file, 128 << 10, Page), out _)!;
        await PokeAsync(file, 64 << 10, (header with { Sequence = 9, LogGuid = Log }).ToBytes());
        foreach (var entry in entries)
        {
            var bytes = entry.ToBytes();
            for (var at = 0; at < bytes.Length; at += Page)
                await PokeAsync(file, LogOffset + (((entry.Sector * Page) + at) % LogLength), bytes[at..(at + Page)]);
        }

        return file;
    }

    /// <summary>Opens for reading, then for writing, and looks at the two pages the entries change.</summary>
    public static async Task AssertReplayedAsync(MemoryFile file, byte first, byte second)
    {
        var overlay = await VhdxLogReplay.OverlayAsync(file, (await HeadersAsync(file)).Current, Boot.Id, None);
        Assert.NotNull(overlay);
        var view = new byte[2 * Page];
        await overlay.ReadAsync(6 * MiB, view, None);
        Assert.Equal((first, second), (view[0], view[Page]));
        await using var disk = await OpenAsync(file);
        Assert.Equal(view, await PeekAsync(file, 6 * MiB, 2 * Page));
        Assert.False((await HeadersAsync(file)).Current.HasLog);
    }

    /// <summary>The headers as they are in the file.</summary>
    public static async Task<VhdxHeaders> HeadersAsync(IStorageFile file) =>
        await VhdxHeaders.ReadAsync(file, VhdxFindings.Strict(file), None);
}

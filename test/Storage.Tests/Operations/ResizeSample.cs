using System.Collections.Concurrent;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Small images of every kind with some content, for the tests of resizing.</summary>
internal static class ResizeSample
{
    public const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly ConcurrentDictionary<(int Length, int Sector), ReferenceDisk> Parents = [];

    private static readonly ParentLink Parent = new(
        new Guid("00112233-4455-6677-8899-aabbccddeeff"), null, new DateTimeOffset(2024, 5, 6, 7, 8, 9, TimeSpan.Zero),
        [new ParentPath(ParentPathKind.Relative, @".\parent")]);

    /// <summary>Creates an image in memory.</summary>
    public static async Task<MemoryFile> CreateAsync(ImageFormat format, long size, int sector = 512)
    {
        var file = new MemoryFile(path: $"{format}-{sector}");
        switch (ImageProbe.FamilyOf(format))
        {
            case "VHDX":
                await VhdxDisk.CreateAsync(file, new VhdxCreateOptions
                {
                    Size = size,
                    BlockSize = MiB,
                    LogicalSectorSize = sector,
                    PhysicalSectorSize = 4096,
                    Fixed = format == ImageFormat.VhdxFixed,
                    Parent = format == ImageFormat.VhdxDifferencing ? Parent : null,
                }, None);
                break;
            case "VHD":
                await VhdDisk.CreateAsync(file, new VhdCreateOptions
                {
                    Size = size,
                    BlockSize = 512 << 10,
                    Fixed = format == ImageFormat.VhdFixed,
                    Parent = format == ImageFormat.VhdDifferencing ? Parent : null,
                }, None);
                break;
            default:
                await RawDisk.CreateAsync(file, size, None);
                break;
        }

        return file;
    }

    /// <summary>Opens an image; a differencing one over a parent of that many bytes whose content is <see cref="Pattern"/> 99.</summary>
    public static ValueTask<BlockDevice> OpenAsync(IStorageFile file, ImageFormat format, int parentLength = 8 * MiB, int sector = 512) =>
        LayerFormats.OpenAsync(
            file,
            format,
            format is ImageFormat.VhdxDifferencing or ImageFormat.VhdDifferencing ? ParentOf(parentLength, sector) : null,
            keepsLinkage: false,
            None);

    public static byte[] Pattern(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static async Task<byte[]> ReadAsync(BlockDevice disk, long offset, long length)
    {
        var bytes = new byte[length];
        await disk.ReadAsync(offset, bytes, None);
        return bytes;
    }

    /// <summary>What the check finds must be nothing worse than a remark.</summary>
    public static async Task AssertSoundAsync(IStorageFile file, ImageFormat format, string what)
    {
        var report = await LayerFormats.CheckAsync(file, format, None);
        Assert.True(report is { Errors: 0, Warnings: 0 }, $"{what}: {string.Join("; ", report.Findings)}");
    }

    /// <summary>Every kind of file a power cut or a kill after so many changes may leave.</summary>
    public static IEnumerable<(MemoryFile Image, string What)> ImagesAfter(CrashFile file, int events)
    {
        yield return (file.AfterKill(events), $"killed after event {events}");
        yield return (file.AfterPowerCut(events, PowerCut.FlushedOnly), $"power cut after event {events}, only flushed");
        for (var draw = 0; draw < 2; draw++)
            yield return (file.AfterPowerCut(events, PowerCut.RandomSubset, (events * 2) + draw), $"power cut after event {events}, subset {draw}");
        if (events < file.EventCount)
            yield return (file.AfterKillInside(events, events), $"killed inside event {events + 1}");
    }

    /// <summary>Parents are only read and hold nothing that is to be closed, so tests may share one.</summary>
    private static ReferenceDisk ParentOf(int length, int sector) => Parents.GetOrAdd((length, sector), static key =>
    {
        var parent = new ReferenceDisk(key.Length, DiskCapabilities.Default with { SectorSize = key.Sector });
        parent.WriteAsync(0, Pattern(99, key.Length), WriteFlags.None, None).AsTask().GetAwaiter().GetResult();
        return parent;
    });
}

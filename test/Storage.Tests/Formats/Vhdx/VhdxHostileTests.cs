using System.Diagnostics;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Images made by an enemy: every structure mutated, checksums put right again.</summary>
public sealed class VhdxHostileTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Structures with the size of what in them matters, and whether they carry a checksum over a length.</summary>
    private static readonly (long Offset, int Used, int Checked)[] Structures =
    [
        (0, 16, 0), (64 << 10, 80, 4096), (128 << 10, 80, 4096), (192 << 10, 80, 64 << 10), (256 << 10, 80, 64 << 10),
        (MetadataOffset, 192, 0), (MetadataOffset + (64 << 10), 40, 0), (BatOffset, 64, 0), (LogOffset, 160, 8192), (LogOffset + 8192, 160, 8192),
    ];

    [Theory(Timeout = 60_000)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task A_mutated_image_opens_or_is_refused_and_never_does_anything_else(int seed, bool dirty)
    {
        var original = dirty ? await CreateDirtyAsync() : await CreateWithContentAsync();
        var random = new Random(seed);
        var refused = 0;
        for (var round = 0; round < 1500; round++)
        {
            var image = original.Copy($"seed-{seed}-round-{round}");
            await MutateAsync(image, random);
            var watch = Stopwatch.StartNew();
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            refused += await TryUseAsync(image) ? 0 : 1;
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{image.Path} took {watch.Elapsed}");
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < 256L << 20, $"{image.Path} allocated too much");
        }

        Assert.InRange(refused, 300, 1500);
    }

    /// <summary>Entries that each claim the whole log must not cost the square of it.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_log_full_of_lies_is_read_in_bounded_time()
    {
        var file = new MemoryFile(path: "lies.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 8 * MiB, LogSize = 64 * MiB }, None);
        var log = Guid.NewGuid();
        var header = VhdxHeader.TryParse(await PeekAsync(file, 128 << 10, 4096), out _)!;
        await PokeAsync(file, 64 << 10, (header with { Sequence = 9, LogGuid = log }).ToBytes());
        var lie = new byte[4096];
        new VhdxLogEntryHeader(64 * MiB, 0, 5, 16_000, log, 0, 0).Write(lie);
        for (var at = 0; at < 64 * MiB; at += 4096)
            await PokeAsync(file, LogOffset + at, lie);
        var watch = Stopwatch.StartNew();
        await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"took {watch.Elapsed}");
    }

    private static async Task MutateAsync(MemoryFile image, Random random)
    {
        for (var count = random.Next(1, 4); count > 0; count--)
        {
            var (offset, used, length) = Structures[random.Next(Structures.Length)];
            var at = random.Next(used);
            byte[] values = random.Next(4) switch
            {
                0 => [(byte)random.Next(256)],
                1 => BitConverter.GetBytes(random.NextInt64()),
                2 => BitConverter.GetBytes(1L << random.Next(64)),
                _ => BitConverter.GetBytes(random.Next(2) == 0 ? -1L : long.MaxValue),
            };
            if (length == 0 || random.Next(4) == 0)
                await PokeAsync(image, offset + at, values);
            else
                await RewriteAsync(image, offset, length, bytes => values.AsSpan(0, Math.Min(values.Length, length - at)).CopyTo(bytes.AsSpan(at)));
        }
    }

    private static async Task<bool> TryUseAsync(MemoryFile image)
    {
        var report = await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None);
        try
        {
            await using var disk = await OpenAsync(image);
            var bytes = new byte[4096];
            for (var place = 0L; place < disk.Length && place < 16 * MiB; place += MiB)
            {
                await disk.ReadAsync(place, bytes.AsMemory(0, (int)Math.Min(4096, disk.Length - place)), None);
                await disk.GetExtentAsync(place, Math.Min(MiB, disk.Length - place), None);
            }

            await disk.WriteAsync(0, bytes.AsMemory(0, 512), WriteFlags.ForceUnitAccess, None);
            await disk.TrimAsync(0, Math.Min(disk.Length, 64L * MiB), None);
            await disk.FlushAsync(None);
            Assert.True(report.IsSound, $"{image.Path}: opened, though the check found {string.Join("; ", report.Findings)}");
            return true;
        }
        catch (StorageException error)
        {
            Assert.False(string.IsNullOrEmpty(error.Reason));
            return false;
        }
    }
}

using System.Buffers.Binary;
using System.Diagnostics;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Images made by an enemy: every structure mutated, checksums put right again.</summary>
public sealed class VhdHostileTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task A_mutated_image_opens_or_is_refused_and_never_does_anything_else(int seed, bool child)
    {
        var original = child ? await CreateChildWithContentAsync() : await CreateWithContentAsync();
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

        Assert.InRange(refused, 200, 1500);
    }

    private static async Task<MemoryFile> CreateChildWithContentAsync()
    {
        var file = await CreateChildAsync();
        await using (var disk = await OpenAsync(file, parent: new ReferenceDisk(8 * MiB)))
            await disk.WriteAsync(MiB, Pattern(1, 8192), WriteFlags.None, None);
        return file.Reopen();
    }

    private static async Task MutateAsync(MemoryFile image, Random random)
    {
        for (var count = random.Next(1, 4); count > 0; count--)
        {
            byte[] values = random.Next(4) switch
            {
                0 => [(byte)random.Next(256)],
                1 => BitConverter.GetBytes(random.NextInt64()),
                2 => BitConverter.GetBytes(BinaryPrimitives.ReverseEndianness(1L << random.Next(64))),
                _ => BitConverter.GetBytes(random.Next(2) == 0 ? -1L : random.Next(1, 5000)),
            };
            switch (random.Next(5))
            {
                case 0:
                    // Both footers alike, so that the mutation is not simply outvoted.
                    var at = random.Next(0, 86);
                    await RewriteAsync(image, image.Length - 512, 512, 64, at, values, random);
                    await image.WriteAsync(0, image.ToArray().AsMemory((int)image.Length - 512), None);
                    break;
                case 1:
                    await RewriteAsync(image, random.Next(2) == 0 ? 0 : image.Length - 512, 512, 64, random.Next(0, 86), values, random);
                    break;
                case 2:
                    await RewriteAsync(image, HeaderOffset, 1024, 36, random.Next(2) == 0 ? random.Next(64) : random.Next(576, 768), values, random);
                    break;
                case 3:
                    await PokeAsync(image, TableOffset + random.Next(64), values);
                    break;
                default:
                    await image.SetLengthAsync(random.NextInt64(image.Length * 2), None);
                    if (image.Length < 2048)
                        return;
                    break;
            }
        }
    }

    /// <summary>Changes a structure and, mostly, makes its checksum right.</summary>
    private static async Task RewriteAsync(MemoryFile image, long offset, int length, int checksumAt, int at, byte[] values, Random random)
    {
        var bytes = new byte[length];
        await image.ReadAsync(offset, bytes, None);
        values.AsSpan(0, Math.Min(values.Length, length - at)).CopyTo(bytes.AsSpan(at));
        if (random.Next(5) != 0)
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(checksumAt), VhdFormat.Checksum(bytes, checksumAt));
        await image.WriteAsync(offset, bytes, None);
    }

    private static async Task<bool> TryUseAsync(MemoryFile image)
    {
        var report = await VhdCheck.RunAsync(image.Reopen(readOnly: true), None);
        try
        {
            var description = await VhdDisk.DescribeAsync(image.Reopen(readOnly: true), None);
            await using var disk = await OpenAsync(image, parent: description.Parent is null ? null : new ReferenceDisk(64 << 10));
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

using System.Diagnostics;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Repair.RepairRig;
using VhdSample = Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Images made by an enemy: whatever they say, a repair ends soon, takes little memory, does what it announced, and is done.</summary>
public sealed class RepairHostileTests
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    private static readonly (long Offset, int Used)[] VhdxParts =
    [
        (0, 16), (64 << 10, 80), (128 << 10, 80), (192 << 10, 80), (256 << 10, 80), (2 * MiB, 192), ((2 * MiB) + (64 << 10), 40), (3 * MiB, 64), (MiB, 160),
    ];

    private static readonly (long Offset, int Used)[] VhdParts = [(0, 86), (512, 64), (512 + 576, 64), (1536, 64)];

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx", 1)]
    [InlineData("dirty", 2)]
    [InlineData("vhd", 3)]
    public async Task A_repair_of_anything_ends_and_is_as_announced(string kind, int seed)
    {
        var original = kind switch
        {
            "vhdx" => await VhdxSample.CreateWithContentAsync(),
            "dirty" => (await VhdxSample.CreateDirtyAsync()).Copy("dirty.vhdx"),
            _ => await VhdSample.CreateWithContentAsync(),
        };
        var random = new Random(seed);
        var sound = 0;
        for (var round = 0; round < 150; round++)
        {
            var image = original.Copy($"seed-{seed}-round-{round}.{(kind == "vhd" ? "vhd" : "vhdx")}");
            await MutateAsync(image, kind == "vhd" ? VhdParts : VhdxParts, random);
            sound += await RepairAsync(image, random.Next(4) > 0) ? 1 : 0;
        }

        Assert.InRange(sound, 50, 150);
    }

    private static async Task<bool> RepairAsync(MemoryFile image, bool lossy)
    {
        var before = image.Copy();
        var watch = Stopwatch.StartNew();
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var plan = await PlanAsync(image, lossy);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{image.Path} took {watch.Elapsed}");
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < 64L << 20, $"{image.Path} allocated {GC.GetAllocatedBytesForCurrentThread() - allocated}");
        if (plan.ChangesFile && plan.ChangedBytes < 64 * MiB)
        {
            var undo = await ApplyAsync(plan, image);
            Assert.Equal(plan.After.Findings, (await CheckAsync(image)).Findings);
            var again = await PlanAsync(image, lossy);
            Assert.False(again.ChangesFile, $"{image.Path}: a second repair changes more: {string.Join("; ", plan.Steps.Select(step => step.Problem))} THEN {string.Join("; ", again.Steps.Select(step => step.Problem))}");
            await RestoreAsync(image, undo);
        }

        Assert.Equal(before.Length, image.Length);
        if (image.Length < 64 * MiB)
            Assert.True(Same(before.ToArray(), image.ToArray()), $"{image.Path} is not put back");
        if (plan.Before.IsSound)
            Assert.True(plan.After.IsSound, $"{image.Path} was sound");
        return plan.After.IsSound;
    }

    private static async Task MutateAsync(MemoryFile image, (long Offset, int Used)[] parts, Random random)
    {
        for (var count = random.Next(1, 4); count > 0; count--)
        {
            var (offset, used) = parts[random.Next(parts.Length)];
            byte[] values = random.Next(5) switch
            {
                0 => [(byte)random.Next(256)],
                1 => BitConverter.GetBytes(random.NextInt64()),
                2 => BitConverter.GetBytes(1L << random.Next(64)),
                3 => BitConverter.GetBytes(((long)random.Next(12) << 20) | 6),
                _ => BitConverter.GetBytes(random.Next(2) == 0 ? -1L : long.MaxValue),
            };
            if (random.Next(8) == 0)
                await image.SetLengthAsync(random.NextInt64(2048, image.Length * 2), None);
            else if (offset + used + 8 < image.Length)
                await image.WriteAsync(offset + random.Next(used), values, None);
        }

        // A checksum put right makes the lie go further.
        if (parts == VhdxParts && random.Next(2) == 0 && image.Length > 4 * MiB)
        {
            await VhdxSample.RewriteAsync(image, 64 << 10, 4096, static _ => { });
            await VhdxSample.RewriteAsync(image, 192 << 10, 64 << 10, static _ => { });
        }
    }
}

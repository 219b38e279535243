using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Repairs files in memory, the way the command line does with real ones.</summary>
internal static class RepairRig
{
    private static readonly CancellationToken None = CancellationToken.None;

    public static ValueTask<RepairPlan> PlanAsync(IStorageFile file, bool lossy = false) =>
        ImageRepair.PlanAsync(file, new RepairOptions { Lossy = lossy }, None);

    /// <summary>Repairs in place; answers the undo file.</summary>
    public static async Task<MemoryFile> ApplyAsync(RepairPlan plan, IStorageFile image, IStorageFile? undo = null)
    {
        var memory = new MemoryFile(path: "undo");
        undo ??= memory;
        var journal = undo.Length == 0
            ? await UndoJournal.CreateAsync(undo, image, Guid.NewGuid(), None) : await UndoJournal.OpenAsync(undo, None);
        await plan.ApplyAsync(image, journal, static () => { }, Ignore, None);
        return memory;
    }

    public static async Task RestoreAsync(IStorageFile image, IStorageFile undo, bool evenIfChanged = false) =>
        await ImageRestore.RunAsync(image, await UndoJournal.OpenAsync(undo, None), evenIfChanged, Ignore, None);

    /// <summary>Checks that a check finds the damage, repairs in place without loss, and checks that all is well afterwards: nothing found
    /// any more, nothing left to do, the same content, and the undo file brings the damage back byte for byte.</summary>
    public static async Task<RepairPlan> RepairsAsync(MemoryFile image, byte[] content, string finding, bool lossy = false)
    {
        var damaged = image.Copy();
        var found = await CheckAsync(image);
        Assert.Contains(found.Findings, one => one.Message.Contains(finding, StringComparison.Ordinal));
        var plan = await PlanAsync(image, lossy);
        Assert.NotEmpty(plan.Steps);
        Assert.True(damaged.ToArray().AsSpan().SequenceEqual(image.ToArray()), "the plan wrote something");
        Assert.DoesNotContain(plan.Steps, step => step.Outcome is RepairOutcome.Impossible or RepairOutcome.NeedsLossy);
        var undo = await ApplyAsync(plan, image);
        var after = await CheckAsync(image);
        Assert.True(after is { Errors: 0, Warnings: 0 }, string.Join("; ", after.Findings));
        Assert.Equal(after.Findings, plan.After.Findings);
        Assert.Equal(content, await ContentAsync(image));
        var again = await PlanAsync(image, lossy: true);
        Assert.Empty(again.Steps);
        Assert.False(again.ChangesFile);
        var repaired = image.Copy();
        await RestoreAsync(image, undo);
        Assert.True(damaged.ToArray().AsSpan().SequenceEqual(image.ToArray()), "the undo file does not bring the old bytes back");
        await repaired.DisposeAsync();
        return plan;
    }

    public static ValueTask<CheckReport> CheckAsync(IStorageFile file) => IsVhdx(file) ? VhdxCheck.RunAsync(file, None) : VhdCheck.RunAsync(file, None);

    /// <summary>What a guest reads.</summary>
    public static async Task<byte[]> ContentAsync(MemoryFile file, BlockDevice? parent = null)
    {
        var copy = file.Copy().Reopen(readOnly: true);
        await using BlockDevice disk = IsVhdx(file)
            ? await VhdxDisk.OpenAsync(copy, new VhdxOpenOptions { ReadOnly = true, Parent = parent }, None)
            : await VhdDisk.OpenAsync(copy, new VhdOpenOptions { ReadOnly = true, Parent = parent }, None);
        var content = new byte[disk.Length];
        await disk.ReadAsync(0, content, None);
        return content;
    }

    public static bool Same(byte[] first, byte[] second) => first.AsSpan().SequenceEqual(second);

    public static void Ignore(OperationProgress progress)
    {
    }

    private static bool IsVhdx(IStorageFile file) => file.Path.EndsWith("vhdx", StringComparison.Ordinal);
}

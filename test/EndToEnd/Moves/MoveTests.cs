using Xunit;

namespace Godwit.EndToEnd.Moves;

/// <summary>A running guest's disk moves; the guest tells what it saw.</summary>
public sealed class MoveTests
{
    [Theory(Timeout = 240_000)]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    [InlineData("raw")]
    public async Task A_running_disk_moves_and_nothing_is_lost(string format)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, format: format);
        var allocated = await GuestUnderTest.AllocatedAsync(guest.Source, ct);
        var begun = guest.Log.Now;
        var folder = Path.Combine(guest.Host.Folder, "b");

        var job = await guest.WaitForEndAsync(await guest.BeginMoveAsync(folder, ct), "Succeeded", ct);
        var ended = guest.Log.Now;
        var target = Path.Combine(folder, Path.GetFileName(guest.Source));
        Assert.Equal(target, await guest.DiskPathAsync(ct));
        Assert.False(File.Exists(guest.Source));
        Assert.Equal([target], Directory.GetFiles(folder));
        Assert.InRange(guest.Log.LongestStall(begun, ended), TimeSpan.Zero, TimeSpan.FromSeconds(5));

        // What the guest wrote while the move ran is copied once more; it is no part of the promise about sparse disks.
        var copied = job.GetProperty("progress").GetProperty("bytesDone").GetInt64();
        Assert.InRange(copied, 1, (long)(allocated * 1.05) + (guest.Log.AcknowledgedCount * 4096L));
        Assert.InRange(await GuestUnderTest.AllocatedAsync(target, ct), 1, (long)(allocated * 1.02) + (guest.Log.AcknowledgedCount * 4096L));
        Assert.Equal(target, await guest.StopAndVerifyAsync(ct));
    }

    [Fact(Timeout = 240_000)]
    public async Task The_worker_may_be_killed_again_and_again_while_the_disk_moves()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        var id = await guest.BeginMoveAsync(Path.Combine(guest.Host.Folder, "b"), ct, "--bandwidth", "16M");
        for (var part = 1; part <= 4; part++)
        {
            await guest.WaitForCopiedAsync(id, part * (16L << 20), ct);
            await guest.KillWorkerAsync(ct);
        }

        await guest.WaitForEndAsync(id, "Succeeded", ct);
        Assert.False(File.Exists(guest.Source));
        await guest.StopAndVerifyAsync(ct);
    }

    [Fact(Timeout = 240_000)]
    public async Task A_disk_moves_there_and_back_and_so_does_a_disk_of_a_VM_that_is_off()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 32);
        var home = Path.GetDirectoryName(guest.Source)!;
        var away = Path.Combine(guest.Host.Folder, "b");
        await guest.WaitForEndAsync(await guest.BeginMoveAsync(away, ct), "Succeeded", ct);
        await guest.WaitForEndAsync(await guest.BeginMoveAsync(home, ct), "Succeeded", ct);
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));

        await guest.WaitForEndAsync(await guest.BeginMoveAsync(away, ct, "--retain-source"), "Succeeded", ct);
        Assert.True(File.Exists(guest.Source));
        Assert.Equal(Path.Combine(away, "disk.vhdx"), await guest.DiskPathAsync(ct));
        var compared = await Testing.Hosts.ChildProgram.RunAsync(
            "qemu-img", ["compare", "-f", "vhdx", "-F", "vhdx", guest.Source, Path.Combine(away, "disk.vhdx")], null, ct);
        compared.Succeeded();
    }

    [Fact(Timeout = 240_000)]
    public async Task A_dry_run_lists_the_plan_and_changes_nothing()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 8);
        var folder = Path.Combine(guest.Host.Folder, "b");
        var plan = (await guest.Host.GodwitAsync(
            ["vm", "move-storage", GuestUnderTest.Name, "--to", folder, "--dry-run", "--json"], ct)).Json();
        Assert.Equal(guest.Source, plan.GetProperty("items")[0].GetProperty("source").GetString());
        Assert.False(Directory.Exists(folder));
        Assert.Equal(guest.Source, await guest.DiskPathAsync(ct));
    }
}

using System.Diagnostics;
using System.Text.Json;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.EndToEnd.Moves;

/// <summary>A move that cannot end well ends as if it had never begun, and the guest never notices.</summary>
public sealed class FaultTests
{
    private const string Slow = "16M";

    [Theory(Timeout = 240_000)]
    [InlineData("Prepare")]
    [InlineData("Copy")]
    [InlineData("InSync")]
    public async Task Cancel_leaves_the_VM_on_its_source_and_nothing_at_the_target(string phase)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 64);
        var folder = Path.Combine(guest.Host.Folder, "b");
        var id = await guest.BeginMoveAsync(folder, ct, "--bandwidth", Slow);
        if (phase == "Copy")
            await guest.WaitForCopiedAsync(id, 8 << 20, ct);
        else if (phase == "InSync")
            // Reading both sides back obeys the limit too, so this phase can be met.
            await guest.WaitForJobAsync(id, job => job.GetProperty("phase").GetString() == phase, ct);
        (await guest.Host.GodwitAsync(["job", "cancel", id], ct)).Succeeded();
        var asked = Stopwatch.StartNew();
        await guest.WaitForEndAsync(id, "Cancelled", ct);
        Assert.False(Directory.Exists(folder), "the folder the move had made is still there");
        Assert.InRange(asked.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));
    }

    [Fact(Timeout = 240_000)]
    public async Task A_target_that_fills_up_fails_the_job_only()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        await using var small = await SmallFileSystem.MountAsync(Path.Combine(guest.Host.Folder, "small"), "size=160m", ct);
        var id = await guest.BeginMoveAsync(small.Folder, ct, "--bandwidth", Slow);
        await guest.WaitForCopiedAsync(id, 8 << 20, ct);
        await small.FillAsync(ct);
        await FailsAndLeavesNothingAsync(guest, id, small.Folder, "NoSpace", ct, except: "filler");
    }

    [Fact(Timeout = 240_000)]
    public async Task A_target_without_room_is_refused_before_anything_is_copied()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        await using var small = await SmallFileSystem.MountAsync(Path.Combine(guest.Host.Folder, "small"), "size=32m", ct);
        var refused = await guest.Host.GodwitAsync(["vm", "move-storage", GuestUnderTest.Name, "--to", small.Folder], ct);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("error:", refused.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(small.Folder));
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));
    }

    [Fact(Timeout = 240_000)]
    public async Task A_target_that_cannot_be_written_is_refused()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 8);
        await using var locked = await SmallFileSystem.MountAsync(Path.Combine(guest.Host.Folder, "locked"), "ro", ct);
        var refused = await guest.Host.GodwitAsync(["vm", "move-storage", GuestUnderTest.Name, "--to", locked.Folder], ct);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains(locked.Folder, refused.Error, StringComparison.Ordinal);
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));
    }

    [Fact(Timeout = 240_000)]
    public async Task A_target_that_vanishes_half_way_fails_the_job_only()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        var folder = Path.Combine(guest.Host.Folder, "b");
        var id = await guest.BeginMoveAsync(folder, ct, "--bandwidth", Slow);
        await guest.WaitForCopiedAsync(id, 8 << 20, ct);
        Directory.Delete(folder, recursive: true);
        await FailsAndLeavesNothingAsync(guest, id, folder, "NotFound", ct);
    }

    [Fact(Timeout = 240_000)]
    public async Task The_daemon_may_be_killed_half_way_and_the_job_goes_on()
    {
        var ct = TestContext.Current.CancellationToken;
        // Enough to copy that three restarts of the daemon fit into it.
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 224);
        var id = await guest.BeginMoveAsync(Path.Combine(guest.Host.Folder, "b"), ct, "--bandwidth", Slow);
        for (var part = 1; part <= 3; part++)
        {
            await guest.WaitForCopiedAsync(id, part * (24L << 20), ct);
            await guest.Host.KillDaemonAsync(ct);
            await guest.GoesOnWritingAsync(ct);
            await guest.Host.StartDaemonAsync(ct);
        }

        var job = await guest.WaitForEndAsync(id, "Succeeded", ct);
        Assert.NotEqual(0, job.GetProperty("notes").GetArrayLength());
        Assert.False(File.Exists(guest.Source));
        await guest.StopAndVerifyAsync(ct);
    }

    [Fact(Timeout = 240_000)]
    public async Task Daemon_and_worker_may_be_killed_together_and_the_job_can_still_be_cancelled()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        var folder = Path.Combine(guest.Host.Folder, "b");
        var id = await guest.BeginMoveAsync(folder, ct, "--bandwidth", Slow);
        await guest.WaitForCopiedAsync(id, 16 << 20, ct);
        await guest.KillWorkerAsync(ct);
        await guest.Host.KillDaemonAsync(ct);
        await guest.Host.StartDaemonAsync(ct);
        (await guest.Host.GodwitAsync(["job", "cancel", id], ct)).Succeeded();
        await guest.WaitForEndAsync(id, "Cancelled", ct);
        Assert.False(Directory.Exists(folder));
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));
    }

    private static async Task FailsAndLeavesNothingAsync(
        GuestUnderTest guest, string id, string folder, string code, CancellationToken ct, string? except = null)
    {
        var job = await guest.WaitForEndAsync(id, "Failed", ct);
        Assert.Equal(code, job.GetProperty("problem").GetProperty("code").GetString());
        AssertHelpful(job);
        if (Directory.Exists(folder))
            Assert.DoesNotContain(Directory.GetFiles(folder), file => Path.GetFileName(file) != except);
        Assert.Equal(guest.Source, await guest.StopAndVerifyAsync(ct));
    }

    private static void AssertHelpful(JsonElement job) =>
        Assert.False(string.IsNullOrWhiteSpace(job.GetProperty("problem").GetProperty("title").GetString()));

    /// <summary>A tmpfs of its own; needs the right to mount.</summary>
    private sealed class SmallFileSystem : IAsyncDisposable
    {
        public required string Folder { get; init; }

        public static async Task<SmallFileSystem> MountAsync(string folder, string options, CancellationToken ct)
        {
            Directory.CreateDirectory(folder);
            var mounted = await ChildProgram.RunAsync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], null, ct);
            Assert.SkipWhen(mounted.ExitCode != 0, $"this test needs the right to mount a tmpfs: {mounted.Error}");
            return new SmallFileSystem { Folder = folder };
        }

        // The last page goes as well, so that the next block the move wants is refused.
        public async Task FillAsync(CancellationToken ct) => await ChildProgram.RunAsync(
            "dd", ["if=/dev/zero", $"of={Path.Combine(Folder, "filler")}", "bs=64k"], null, ct);

        public async ValueTask DisposeAsync() => await ChildProgram.RunAsync("umount", ["-l", Folder], null, CancellationToken.None);
    }
}

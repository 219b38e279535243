using System.Globalization;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Random lives of a VM with checkpoints beside a model: what was on the disks when a checkpoint was taken is there when it is applied, whatever was removed,
/// merged, cancelled or killed in between.</summary>
public sealed class CheckpointTreeTests(ITestOutputHelper output)
{
    private static readonly string[] Steps =
    [
        "Check state and space", "Start the disk worker", "Keep the memory", "Cut the disks", "Let the VM go on", "Record the checkpoint", "Release the disk worker",
        "End its processes", "Make a new image for disk0", "Make a new image for disk1", "Put disk1 in its place", "Bring its memory", "Record the VM as it was",
        "Remove what is left of it", "Merge the images",
    ];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<int> Lives() => [.. Enumerable.Range(0, 12)];

    [Theory(Timeout = 240_000), MemberData(nameof(Lives))]
    public async Task Whatever_happens_each_checkpoint_keeps_what_it_kept(int life)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : Environment.TickCount + life;
        output.WriteLine($"GODWIT_SEED={seed}");
        var random = new Random(seed);
        await using var host = new FakeHost();
        await host.AddVmAsync(disks: 2);
        var model = new Life(host, random);
        for (var i = 0; i < 60; i++)
        {
            host.Faults.At = random.Next(3) == 0
                ? Disturb.At(host, Steps[random.Next(Steps.Length)], Enum.GetValues<Disturbance>()[random.Next(5)])
                : (_, _) => Task.CompletedTask;
            var left = random.Next(4) == 0 ? random.Next(12) : -1;
            host.Folders.Changing = _ =>
            {
                // Only in a job: what a request does is done or not when it answers. And not in a worker, which lives on.
                var stack = left < 0 || host.Faults.Killed ? "" : Environment.StackTrace;
                if (stack.Contains("Step.", StringComparison.Ordinal) && !stack.Contains(nameof(FakeWorkers), StringComparison.Ordinal) && left-- == 0)
                    host.Die();
            };
            await model.NextAsync();
            host.Folders.Changing = _ => { };
            model.Check();
        }

        host.Faults.At = (_, _) => Task.CompletedTask;
        await model.RemoveAllAsync();
        Assert.Null(host.Parts.Vms.Get("vm").Checkpoints);
        Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
    }

    /// <summary>Does one thing after the other and remembers what was kept.</summary>
    private sealed class Life(FakeHost host, Random random)
    {
        private readonly Dictionary<Guid, (string[] Disks, Guid? Parent)> _kept = [];
        private string[] _now = ["", ""];
        private int _written;

        public async Task NextAsync()
        {
            switch (random.Next(8))
            {
                case 0 or 1 or 2 when _kept.Count < 12:
                    Write();
                    await TakeAsync();
                    break;
                case 3 when _kept.Count > 0:
                    await ApplyAsync(Any());
                    break;
                case 4 or 5 when _kept.Count > 0:
                    await RemoveAsync(Any(), random.Next(4) == 0);
                    break;
                case 6:
                    await PowerAsync();
                    break;
                default:
                    Write();
                    break;
            }
        }

        public async Task RemoveAllAsync()
        {
            while (_kept.Count > 0)
                await RemoveAsync(Any(), true);
            Assert.Equal(JobState.Succeeded, (await host.EndAsync((await host.Checkpoints.MergeAsync("vm", Token)).Id)).State);
            Check();
        }

        public void Check()
        {
            host.Folders.Contents.AssertWhole();
            var vm = host.Parts.Vms.Get("vm");
            Assert.Equal(_now, vm.Disks.Select(disk => host.Folders.Contents.Read(disk.Path)));
            var list = host.Checkpoints.List("vm");
            Assert.Equal(_kept.Keys.Order(), list.Checkpoints.Select(one => one.Id).Order());
            foreach (var one in vm.Checkpoints ?? [])
            {
                if (_kept.TryGetValue(one.Id, out var kept))
                    Assert.Equal(kept.Disks, one.Disks.Select(disk => host.Folders.Contents.Read(disk.Path)));
                Assert.All(one.Disks, disk => Assert.True(host.Folders.FileExists(disk.Path), disk.Path));
                Assert.True(one.Saved is null || host.Folders.FileExists(one.Saved.File));
            }
            // No image is there that nobody needs.
            Assert.Equal(vm.Images.Order(StringComparer.Ordinal), host.Folders.Images.Order(StringComparer.Ordinal));
        }

        private void Write()
        {
            var vm = host.Parts.Vms.Get("vm");
            if (host.Runtime[vm.Id] != VirtualMachineState.Running)
                return;
            foreach (var disk in vm.Disks)
                host.Folders.Contents.Write(disk.Path, random.Next(6), ++_written);
            _now = [.. vm.Disks.Select(disk => host.Folders.Contents.Read(disk.Path))];
        }

        private async Task TakeAsync()
        {
            var before = host.Checkpoints.List("vm").Checkpoints.Select(one => one.Id).ToHashSet();
            var job = await host.EndAsync((await host.Checkpoints.CreateAsync("vm", new CheckpointSpec(), Token)).Id);
            if (host.Checkpoints.List("vm").Checkpoints.FirstOrDefault(one => !before.Contains(one.Id)) is { } taken)
                _kept[taken.Id] = (_now, taken.ParentId);
            else
                Assert.NotEqual(JobState.Succeeded, job.State);
        }

        private async Task ApplyAsync(Guid which)
        {
            var job = await host.EndAsync((await host.Checkpoints.ApplyAsync("vm", which.ToString(), new ApplyRequest(Force: true), Token)).Id);
            var vm = host.Parts.Vms.Get("vm");
            if (job.State == JobState.Succeeded)
            {
                _now = _kept[which].Disks;
                Assert.Equal(which, vm.CurrentCheckpoint);
            }
        }

        private async Task RemoveAsync(Guid which, bool subtree)
        {
            HashSet<Guid> gone = subtree ? new CheckpointTree(host.Parts.Vms.Get("vm")).Below(which) : [which];
            await host.EndAsync((await host.Checkpoints.RemoveAsync("vm", which.ToString(), subtree, Token)).Id);
            foreach (var one in gone)
                _kept.Remove(one);
        }

        private async Task PowerAsync()
        {
            var state = host.Runtime[host.Parts.Vms.Get("vm").Id];
            if (state == VirtualMachineState.Off)
                await host.Operations.StartAsync("vm", Token);
            else if (state == VirtualMachineState.Running && random.Next(2) == 0)
                await host.Operations.StopAsync("vm", new StopRequest(TurnOff: true), Token);
            else if (state == VirtualMachineState.Running)
                await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        }

        private Guid Any() => _kept.Keys.Order().ElementAt(random.Next(_kept.Count));
    }
}

using System.Collections.Concurrent;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>QEMU processes in memory. They outlive the daemon under test.</summary>
internal sealed class FakeRuntime(TimeProvider time, FakeFolders folders) : IVirtualMachineRuntime
{
    private readonly ConcurrentDictionary<Guid, VirtualMachineState> _states = new();
    private readonly ConcurrentDictionary<Guid, int> _saves = new();

    /// <summary>Every start and stop, in order.</summary>
    public ConcurrentQueue<string> Trace { get; } = new();

    /// <summary>The guest ignores the request to shut down.</summary>
    public bool IgnoresShutdown { get; set; }

    /// <summary>Why QEMU does not end, if it does not.</summary>
    public Problem? TurnOffProblem { get; set; }

    /// <summary>What a VM is seen doing when it has just been restored.</summary>
    public VirtualMachineState RestoredState { get; set; } = VirtualMachineState.Paused;

    /// <summary>Why QEMU does not start, if it does not.</summary>
    public Problem? StartProblem { get; set; }

    public VirtualMachineState this[Guid vm]
    {
        get => _states.GetValueOrDefault(vm, VirtualMachineState.Off);
        set => _states[vm] = value;
    }

    public Task<RuntimeStatus> ObserveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) =>
        Task.FromResult(this[vm.Id] is var state && state == VirtualMachineState.Off
            ? new RuntimeStatus(state)
            : new RuntimeStatus(state, null, "tcg", "no KVM here", 4711));

    public Task StartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (StartProblem is { } problem)
            throw new GodwitException(problem);
        Trace.Enqueue("start");
        this[vm.Id] = VirtualMachineState.Running;
        return Task.CompletedTask;
    }

    /// <summary>The saving or loading under way fails with this.</summary>
    public string? SaveProblem { get; set; }

    public Task PauseAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) => Become(vm, "pause", VirtualMachineState.Paused);

    public Task ResumeAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) => Become(vm, "resume", VirtualMachineState.Running);

    public Task ResetAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) => Become(vm, "reset", this[vm.Id]);

    public async Task<MachineModel> BeginSaveAsync(VirtualMachineRecord vm, string file, CancellationToken cancellationToken)
    {
        await Become(vm, "save", VirtualMachineState.Paused);
        if (!folders.FileExists(file))
            folders.AddFile(file);
        _saves[vm.Id] = 0;
        return new MachineModel("pc-q35-10.0", "max", "tcg");
    }

    public Task<SaveProgress> QuerySaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        var done = _saves.AddOrUpdate(vm.Id, 0, (_, before) => before + 1);
        return Task.FromResult(new SaveProgress(done > 2 && SaveProblem is null, SaveProblem, done, 3));
    }

    public Task CancelSaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        _saves.TryRemove(vm.Id, out _);
        return Task.CompletedTask;
    }

    public Task RestoreAsync(VirtualMachineRecord vm, SavedStateRecord saved, CancellationToken cancellationToken)
    {
        if (SaveProblem is { } problem)
            throw new GodwitException(ErrorCode.Unavailable, problem);
        Assert.False(saved.Used, "a used state is loaded again");
        Trace.Enqueue("restore");
        this[vm.Id] = RestoredState;
        return Task.CompletedTask;
    }

    private Task Become(VirtualMachineRecord vm, string what, VirtualMachineState state)
    {
        if (this[vm.Id] == VirtualMachineState.Off)
            throw new GodwitException(ErrorCode.WrongState, "there is no QEMU");
        Trace.Enqueue(what);
        this[vm.Id] = state;
        return Task.CompletedTask;
    }

    public async Task ShutDownAsync(VirtualMachineRecord vm, TimeSpan limit, CancellationToken cancellationToken)
    {
        if (!IgnoresShutdown)
        {
            Trace.Enqueue("shutdown");
            this[vm.Id] = VirtualMachineState.Off;
        }
        var since = time.GetTimestamp();
        while (this[vm.Id] != VirtualMachineState.Off)
        {
            if (time.GetElapsedTime(since) > limit)
                throw new GodwitException(ErrorCode.Unavailable, "the guest did not shut down");
            await Task.Delay(TimeSpan.FromMilliseconds(100), time, cancellationToken);
        }
    }

    public Task TurnOffAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (TurnOffProblem is { } problem)
            throw new GodwitException(problem);
        Trace.Enqueue("turn off");
        this[vm.Id] = VirtualMachineState.Off;
        return Task.CompletedTask;
    }

    /// <summary>The UEFI firmware is installed.</summary>
    public bool HasFirmware { get; set; } = true;

    /// <summary>Why a disc cannot be put into a drive, if it cannot.</summary>
    public Problem? DiscProblem { get; set; }

    /// <summary>What is in the DVD drives of running VMs.</summary>
    public ConcurrentDictionary<string, string?> Discs { get; } = new();

    public ReadOnlyMemory<byte> NewFirmwareVariables() =>
        HasFirmware ? "variables"u8.ToArray() : throw new GodwitException(ErrorCode.Unsupported, "no firmware");

    public Task SetDvdMediaAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (DiscProblem is { } problem)
            throw new GodwitException(problem);
        foreach (var drive in vm.DvdDrives ?? [])
            Discs[drive.Name] = drive.Path;
        return Task.CompletedTask;
    }

    public Task ForgetAsync(Guid vm, CancellationToken cancellationToken)
    {
        Trace.Enqueue("forget");
        return Task.CompletedTask;
    }
}

/// <summary>Offline images in memory.</summary>
internal sealed class FakeImages(FakeFolders folders) : IImages
{
    /// <summary>The path whose creation fails.</summary>
    public string? Broken { get; set; }

    public Task<ImageReport> DescribeAsync(string path, CancellationToken cancellationToken) => folders.FileExists(path)
        ? Task.FromResult(new ImageReport(path.EndsWith(".iso", StringComparison.Ordinal) ? DiskFormat.Raw : DiskFormat.VhdxDynamic, 1 << 30, FakeWorkers.Allocated))
        : throw new GodwitException(ErrorCode.NotFound, $"'{path}' does not exist.");

    public Task CreateAsync(string path, long size, DiskFormat format, CancellationToken cancellationToken)
    {
        if (Broken is not null && path.StartsWith(Broken, StringComparison.Ordinal))
            throw new GodwitException(ErrorCode.NoSpace, $"no room for '{path}'.");
        folders.AddFile(path);
        return Task.CompletedTask;
    }

    public async Task<ImageReport> CreateChildAsync(string parent, string path, CancellationToken cancellationToken)
    {
        Assert.True(folders.FileExists(parent), $"{parent} is not there");
        await CreateAsync(path, 0, DiskFormat.VhdxDifferencing, cancellationToken);
        folders.Contents.Over(path, parent);
        return new ImageReport(DiskFormat.VhdxDifferencing, 1 << 30, FakeWorkers.Allocated);
    }

    /// <summary>How many images were merged while nobody served them.</summary>
    public int Merges { get; private set; }

    public Task<ImageReport> MergeAsync(string leaf, string? layer, CancellationToken cancellationToken)
    {
        Merges++;
        var merged = layer ?? leaf;
        if (leaf != merged)
            Assert.Equal(merged, folders.Contents.ParentOf(leaf));
        var target = folders.Contents.ParentOf(merged)!;
        folders.Contents.Merged(merged, target);
        folders.DeleteFile(merged);
        return Task.FromResult(new ImageReport(DiskFormat.VhdxDynamic, 1 << 30, FakeWorkers.Allocated, target));
    }
}

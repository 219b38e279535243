using System.Text.Json;
using Godwit.Qemu;
using Godwit.Qemu.Accelerators;
using Godwit.Qemu.Launch;
using Godwit.Testing;
using Xunit;

namespace Godwit.EndToEnd.Guest;

public sealed class AcceleratorProbeTests(ITestOutputHelper output) : IDisposable
{
    private const int Limit = 60_000;

    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private AcceleratorProbe Probe => new(QemuConfiguration.DefaultBinary, _folder.Path, TimeProvider.System);

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = Limit)]
    public async Task The_probe_guest_runs_to_its_end_where_the_accelerator_works()
    {
        var begun = TimeProvider.System.GetTimestamp();
        var probe = new AcceleratorProbe(QemuConfiguration.DefaultBinary, _folder.Path, TimeProvider.System) { Limit = TimeSpan.FromSeconds(20) };
        Assert.Null(await probe.TryAsync(AcceleratorKind.Tcg, Token));
        output.WriteLine($"TCG: {TimeProvider.System.GetElapsedTime(begun).TotalMilliseconds:0} ms");
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = Limit)]
    public async Task A_guest_that_does_not_finish_in_time_is_killed_and_named_so()
    {
        var hasty = new AcceleratorProbe(QemuConfiguration.DefaultBinary, _folder.Path, TimeProvider.System) { Limit = TimeSpan.FromMilliseconds(1) };
        Assert.Contains("did not finish", await hasty.TryAsync(AcceleratorKind.Tcg, Token), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact(Timeout = Limit)]
    public async Task KVM_is_chosen_only_if_its_guest_finished_and_the_answer_is_remembered()
    {
        var cache = _folder.File("accelerator.json");
        var version = await QemuVersion.QueryAsync(QemuConfiguration.DefaultBinary, _folder.Path, TimeProvider.System, Token);
        var choice = await Probe.ChooseAsync(version, cache, Token);
        output.WriteLine($"QEMU {version}: {choice}");
        Assert.Equal(choice.Kind == AcceleratorKind.Kvm, choice.Reason is null);
        Assert.Equal(choice.Kind == AcceleratorKind.Kvm, File.Exists("/dev/kvm") && await Probe.TryAsync(AcceleratorKind.Kvm, Token) is null);

        // A changed answer in the file shows that it is used; another version that it is not.
        if (choice.Reason is not null)
        {
            var written = JsonEncodedText.Encode(choice.Reason).ToString();
            var changed = (await File.ReadAllTextAsync(cache, Token)).Replace(written, "remembered", StringComparison.Ordinal);
            await File.WriteAllTextAsync(cache, changed, Token);
            Assert.Equal("remembered", (await Probe.ChooseAsync(version, cache, Token)).Reason);
        }

        Assert.Equal(choice.Kind, (await Probe.ChooseAsync(version with { Micro = 99 }, cache, Token)).Kind);
        await File.WriteAllTextAsync(cache, "{ torn", Token);
        Assert.Equal(choice.Kind, (await Probe.ChooseAsync(version, cache, Token)).Kind);
    }

    [Fact(Timeout = Limit)]
    public async Task A_program_that_is_no_QEMU_is_said_to_be_none()
    {
        var error = await Assert.ThrowsAsync<QemuException>(
            () => QemuVersion.QueryAsync("/bin/true", _folder.Path, TimeProvider.System, Token));
        Assert.Equal(QemuErrorKind.NotInstalled, error.Kind);
        await Assert.ThrowsAsync<QemuException>(() => QemuVersion.QueryAsync("/no/such", _folder.Path, TimeProvider.System, Token));
    }
}

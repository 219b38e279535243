namespace Godwit.Worker.Sandbox;

/// <summary>Lets a test see what happens on a kernel without one of the means a sandbox is made of.</summary>
internal static class KernelFeatures
{
    /// <summary>Set by tests only: the means to do without, separated by commas. The worker reports them as missing.</summary>
    internal const string Variable = "GODWIT_TEST_KERNEL_WITHOUT";

    /// <summary>A test wants the kernel to be without it.</summary>
    internal static bool Hidden(string feature) =>
        Environment.GetEnvironmentVariable(Variable)?.Split(',').Contains(feature) == true;
}

"""An exact Gaussian process, and a variational one."""

import gpytorch
import torch


class Exact(gpytorch.models.ExactGP):
    def __init__(self, x, y, likelihood):
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Variational(gpytorch.models.ApproximateGP):
    def __init__(self, points):
        distribution = gpytorch.variational.CholeskyVariationalDistribution(points.size(0))
        super().__init__(gpytorch.variational.VariationalStrategy(self, points, distribution))
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel())

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


torch.manual_seed(0)
x = torch.linspace(0, 1, 20)
y = torch.sin(6 * x) + 0.1 * torch.randn(20)
likelihood = gpytorch.likelihoods.GaussianLikelihood()
model = Exact(x, y, likelihood)
model.train()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
mll = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
for _ in range(5):
    optimizer.zero_grad()
    (-mll(model(x), y)).backward()
    optimizer.step()
model.eval()
with torch.no_grad(), gpytorch.settings.fast_pred_var():
    likelihood(model(torch.linspace(0, 1, 7))).variance.sum().item()
points, likelihood = Variational(x[:6].unsqueeze(1).clone()), gpytorch.likelihoods.GaussianLikelihood()
optimizer = torch.optim.Adam([*points.parameters(), *likelihood.parameters()], lr=0.05)
elbo = gpytorch.mlls.VariationalELBO(likelihood, points, num_data=20)
for _ in range(5):
    optimizer.zero_grad()
    (-elbo(points(x.unsqueeze(1)), y)).backward()
    optimizer.step()
